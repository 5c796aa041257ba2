import { join } from "node:path";
import type { AuditHead } from "./head.ts";
import { digestOf, type FileHeader, ORIGIN, readLine } from "./line.ts";
import { linesOf } from "./lines.ts";

export type ProblemKind = "changed" | "missing" | "reordered" | "truncated" | "forged" | "unreadable";

export interface AuditProblem {
  kind: ProblemKind;
  /** Name within the directory, or `store` for a head kept there. */
  file: string;
  /** From 1; 0 where the file as a whole is meant. */
  line: number;
  message: string;
}

/** A head that carries a right signature, and where it was found. */
export interface FoundHead {
  head: AuditHead;
  source: string;
}

/** How many digests are remembered, so that one misplaced line does not accuse its neighbours. */
const REMEMBERED = 8;

/** Follows one stream's chain line by line; memory does not grow with the log. */
export class ChainCheck {
  lines = 0;
  /** Lines behind the last signed head. */
  unsigned = 0;
  /** The highest read. */
  sequence = 0;
  /** Bytes at the very end that are no whole line. */
  torn: { file: string; line: number } | undefined;

  #heads: FoundHead[];
  #signed: number;
  #report: (problem: AuditProblem) => void;
  #expected = 1;
  /** Also a right sequence for the next line, when the last one was out of place. */
  #alternative = 0;
  #digests = new Map<number, string>([[0, ORIGIN]]);
  /** Of the last line read. */
  #last = { sequence: 0, digest: ORIGIN };
  #file = "";
  #line = 0;

  constructor(heads: FoundHead[], report: (problem: AuditProblem) => void) {
    this.#heads = heads;
    this.#signed = Math.max(0, ...heads.map(({ head }) => head.sequence));
    this.#report = report;
  }

  /** `after` is the name of the stream's file before, null for none, undefined when that one is missing. */
  async file(
    directory: string,
    name: string,
    stream: string,
    after: string | null | undefined,
  ): Promise<void> {
    if (this.torn !== undefined) this.#say("truncated", this.torn, "the line is incomplete");
    this.torn = undefined;
    this.#file = name;
    this.#line = 0;
    for await (const lines of linesOf(join(directory, name))) {
      for (const { bytes, complete } of lines) {
        this.#line++;
        if (!complete) this.torn = { file: name, line: this.#line };
        else if (this.#line === 1) this.#header(bytes, name, stream, after);
        else this.#next(bytes);
      }
    }
  }

  /** What can only be known at the end: whether the heads state more than is there. */
  finish(): void {
    const place = { file: this.#file, line: this.#line + 1 };
    for (const { head, source } of this.#heads) {
      if (head.sequence > this.sequence) {
        const missing = head.sequence - this.sequence;
        const where = head.file === this.#file ? "" : `, in ${head.file}`;
        this.#say(
          "truncated",
          this.torn ?? place,
          `the log ends after sequence ${this.sequence}, but the head in ${source} was signed for sequence ${head.sequence}${where}: ${missing} removed at the end`,
        );
        return;
      }
    }
    const closed = this.#heads.find(({ head }) => head.closed)?.head;
    if (closed !== undefined && (this.sequence > closed.sequence || this.torn !== undefined))
      this.#say(
        "changed",
        this.torn ?? place,
        `lines were added behind the signed end at ${closed.sequence}`,
      );
  }

  #header(bytes: Buffer, name: string, stream: string, after: string | null | undefined): void {
    let header: Partial<FileHeader> = {};
    try {
      header = JSON.parse(bytes.toString()) as Partial<FileHeader>;
    } catch {
      // Reported below: no member is as it should be.
    }
    const read = readLine(bytes);
    if (header.auditVersion !== 1 || typeof header.previousDigest !== "string" || read === undefined) {
      this.#here("unreadable", "the file does not begin with a header line");
      this.#skip();
      return;
    }
    if (header.stream !== stream || header.file !== name)
      this.#here("changed", `the header names stream ${header.stream} and file ${header.file}`);
    if (after === undefined) {
      // The files before are gone, which is reported; what follows is still checked from here on.
      this.#digests = new Map([[read.sequence - 1, header.previousDigest]]);
      this.#expected = read.sequence;
    } else {
      if (header.previousFile !== after)
        this.#here("changed", `the header continues ${header.previousFile}, not ${after}`);
      if (header.previousDigest !== this.#last.digest && this.#digests.has(read.sequence - 1))
        this.#here("changed", "the header does not continue the last line of the file before");
    }
    this.#next(bytes);
  }

  #next(bytes: Buffer): void {
    const read = readLine(bytes);
    if (read === undefined) {
      this.#here("unreadable", "this is no log line");
      this.#skip();
      return;
    }
    const { sequence, digest, signed } = read;
    const inOrder = sequence === this.#expected || sequence === this.#alternative;
    const before = this.#digests.get(sequence - 1);
    if (!inOrder) this.#outOfOrder(sequence);
    else if (before !== undefined && digestOf(before, signed) !== digest)
      this.#here("changed", `the digest of sequence ${sequence} does not fit the line and the one before`);
    for (const { head, source } of this.#heads)
      if (head.sequence === sequence && head.digest !== digest)
        this.#here("changed", `sequence ${sequence} is not what the head in ${source} was signed for`);
    this.#alternative = inOrder ? 0 : sequence + 1;
    this.#expected = (inOrder ? sequence : this.#expected) + 1;
    this.#remember(sequence, digest);
  }

  #outOfOrder(sequence: number): void {
    if (sequence > this.#expected)
      this.#here(
        "missing",
        `sequence ${sequence} stands where ${this.#expected} belongs: lines are missing before`,
      );
    else if (sequence === this.#last.sequence) this.#here("reordered", `sequence ${sequence} is repeated`);
    else this.#here("reordered", `sequence ${sequence} stands where ${this.#expected} belongs`);
  }

  #remember(sequence: number, digest: string): void {
    this.lines++;
    if (sequence > this.#signed) this.unsigned++;
    this.sequence = Math.max(this.sequence, sequence);
    this.#last = { sequence, digest };
    this.#digests.delete(sequence);
    this.#digests.set(sequence, digest);
    if (this.#digests.size > REMEMBERED) {
      const [oldest] = this.#digests.keys();
      this.#digests.delete(oldest as number);
    }
  }

  /** An unreadable line counts as the one that was expected; what its digest was nobody knows. */
  #skip(): void {
    this.lines++;
    this.#digests.delete(this.#expected);
    this.sequence = Math.max(this.sequence, this.#expected++);
    this.#alternative = 0;
  }

  #here(kind: ProblemKind, message: string): void {
    this.#say(kind, { file: this.#file, line: this.#line }, message);
  }

  #say(kind: ProblemKind, place: { file: string; line: number }, message: string): void {
    this.#report({ kind, ...place, message });
  }
}
