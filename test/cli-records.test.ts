import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { csv, ndjson, type Row, rowsOf } from "../lib/cli/fields.ts";

const cli = resolve(import.meta.dirname, "../dist/cli.js");
const home = mkdtempSync(join(tmpdir(), "keystead-cli-records-"));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function keystead(args: string[], input: string | Buffer = "") {
  return new Promise<{ status: number | null; out: Buffer; err: string }>((done) => {
    const child = spawn(process.execPath, [cli, ...args], { cwd: home });
    const out: Buffer[] = [];
    let err = "";
    child.stdout.on("data", (bytes) => out.push(bytes));
    child.stderr.on("data", (bytes) => {
      err += bytes;
    });
    child.on("close", (status) => done({ status, out: Buffer.concat(out), err }));
    child.stdin.on("error", () => {});
    child.stdin.end(input);
  });
}

beforeAll(async () => {
  await keystead(["init"]);
  expect((await keystead(["key", "create", "--alias", "people"])).status).toBe(0);
});

const seal = ["encrypt-records", "-k", "alias/people", "--fields", "email,ssn", "--context", "table=people"];
const open = ["decrypt-records", "--fields", "email,ssn", "--context", "table=people"];

describe("encrypt-records and decrypt-records", () => {
  test("take NDJSON there and back, byte by byte, and the other fields in the clear", async () => {
    const lines = [
      '{"id":1,"email":"a@example.org","ssn":null}',
      ' { "ssn" : {"deep":["}",1.0]} ,\t"id":12345678901234567890,"email":"\\u00fc\\"x" } ',
      "",
      '{"id":3}',
      '{"em\\u0061il":"by an escape","name":"Zoë ☃"}\r',
    ];
    const text = `${lines.join("\n")}\n{"id":6,"email":-1.50e3}`;
    const sealed = await keystead(seal, text);
    expect(sealed).toMatchObject({ status: 0, err: "" });
    const written = sealed.out.toString().split("\n");
    expect(written.length).toBe(6);
    expect(written[0]).toMatch(/^\{"id":1,"email":"[A-Za-z0-9+/]+=*","ssn":"[A-Za-z0-9+/]+=*"\}$/);
    expect(written[1]).toContain('"id":12345678901234567890,"email":"');
    expect(written.slice(2, 4)).toEqual(lines.slice(2, 4));
    expect(written[4]).toMatch(/,"name":"Zoë ☃"\}\r$/);
    const opened = await keystead(open, sealed.out);
    expect(opened).toMatchObject({ status: 0, err: "" });
    expect(opened.out.toString()).toBe(text);
  });

  test("take CSV there and back, with quotes and newlines in cells", async () => {
    const text =
      'id,"email",note,ssn\r\n1,a@example.org,"x, ""y""",\r\n2,"b,\n""c""",plain,123-45\r\n3,,,"";\r\n'.replace(
        ";",
        "",
      );
    writeFileSync(join(home, "people.csv"), text);
    const sealed = await keystead([...seal, "people.csv", "-o", "sealed.csv"]);
    expect(sealed).toMatchObject({ status: 0 });
    const written = readFileSync(join(home, "sealed.csv"), "utf8").split("\r\n");
    expect(written[0]).toBe('id,"email",note,ssn');
    expect(written[1]).toMatch(/^1,[A-Za-z0-9+/=]+,"x, ""y""",[A-Za-z0-9+/=]+$/);
    expect(written.length).toBe(5);
    expect(await keystead([...open, "sealed.csv", "-o", "opened.csv"])).toMatchObject({ status: 0 });
    expect(readFileSync(join(home, "opened.csv"), "utf8")).toBe(text);
  });

  test("keep the order of many records", async () => {
    const text = Array.from({ length: 9_000 }, (_, i) => `{"id":${i},"email":"${i}@example.org"}\n`).join("");
    const sealed = await keystead(seal, text);
    const ids = sealed.out
      .toString()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line).id);
    expect(ids).toEqual(Array.from({ length: 9_000 }, (_, i) => i));
    expect((await keystead(open, sealed.out)).out.toString()).toBe(text);
  });

  test("leave out records that are wrong, name their lines, and say so at the end", async () => {
    const bad = await keystead(seal, '{"email":1}\nno json\n[1]\n{"email":2}\n');
    expect(bad.status).toBe(1);
    expect(bad.out.toString().trim().split("\n").length).toBe(2);
    expect(bad.err).toMatch(
      /^keystead: line 2: the line is not JSON\nkeystead: line 3: .*not an object\nkeystead: no record has a field ssn\nkeystead: 2 records left out, of 4\n$/,
    );
    const [one, two] = bad.out.toString().trim().split("\n") as [string, string];
    const message = Buffer.from(JSON.parse(two).email, "base64");
    message[message.length - 1] = (message.at(-1) as number) ^ 1;
    const damaged = [
      one,
      JSON.stringify({ email: message.toString("base64") }),
      '{"email":"-"}',
      '{"email":7}',
      two,
    ];
    const swapped = JSON.stringify({ ssn: JSON.parse(one).email });
    const opened = await keystead(open, `${[...damaged, swapped].join("\n")}\n`);
    expect(opened.status).toBe(5);
    expect(opened.out.toString()).toBe('{"email":1}\n{"email":2}\n');
    expect(opened.err).toMatch(/line 2: .*changed/);
    expect(opened.err).toMatch(/line 3: email: .*Base64/);
    expect(opened.err).toMatch(/line 4: email: .*not a string/);
    expect(opened.err).toMatch(/line 6: .*keystead:field/);
    expect(opened.err).toContain("4 records left out, of 6\n");
    const elsewhere = await keystead(
      ["decrypt-records", "--fields", "email", "--context", "table=others"],
      `${one}\n`,
    );
    expect(elsewhere.status).toBe(5);
    expect(elsewhere.err).toContain('"table"');
  });

  test("leave out rows that readers of CSV take in different ways, and no value beside them in the clear", async () => {
    const rows = ['1,5" pipe,a@x', '2,6" pipe,b@x', "3,plain,c@x", '4,"six" inches,d@x', '5,"7"" pipe",e@x'];
    const text = `\ufeff"id","note",email\r\n${rows.join("\r\n")}\r\n`;
    const args = ["--format", "csv", "--fields", "email"];
    const sealed = await keystead(["encrypt-records", "-k", "alias/people", ...args], text);
    expect(sealed.status).toBe(1);
    expect(sealed.err).toMatch(
      /line 2: a cell has a quote.+\n.+line 3: .+\n.+line 5: .+\n.+3 records left out, of 5/,
    );
    expect(sealed.out.toString()).not.toContain("@x");
    const opened = await keystead(["decrypt-records", ...args], sealed.out);
    const kept = `\ufeff"id","note",email\r\n${[rows[2], rows[4]].join("\r\n")}\r\n`;
    expect(opened).toMatchObject({ status: 0, err: "" });
    expect(opened.out.toString()).toBe(kept);
    const open = await keystead(
      ["encrypt-records", "-k", "alias/people", ...args],
      'id,email\n1,"a@x\n2,b@x\n',
    );
    expect(open.err).toContain("line 2: a quote is not closed");
    expect(open.out.toString()).toBe("id,email\n");
  });

  test("take a byte order mark, and fields within objects by their paths", async () => {
    const text =
      '\ufeff{"user":{"email":"a","name":"b"},"user.email":[1]}\n{"user":{"email":{"x":1}}}\n{"user":7}\n';
    const args = ["--fields", "user.email"];
    const sealed = await keystead(["encrypt-records", "-k", "alias/people", ...args], text);
    expect(sealed).toMatchObject({ status: 0, err: "" });
    expect(sealed.out.toString()).toMatch(
      /^\ufeff\{"user":\{"email":"Ag[^"]+","name":"b"\},"user.email":"Ag[^"]+"\}\n\{"user":\{"email":"Ag[^"]+"\}\}\n\{"user":7\}\n$/,
    );
    const opened = await keystead(["decrypt-records", ...args], sealed.out);
    expect(opened).toMatchObject({ status: 0, err: "" });
    expect(opened.out.toString()).toBe(text);
  });

  test("say when no record has a field that is to be encrypted", async () => {
    const sealing = ["encrypt-records", "-k", "alias/people", "--fields"];
    const none = await keystead([...sealing, "emial", "-o", "nothing"], '{"email":1}\n');
    expect(none).toMatchObject({ status: 2, err: expect.stringContaining("no record has a field emial") });
    expect(existsSync(join(home, "nothing"))).toBe(false);
    const one = await keystead([...sealing, "email,emial"], '{"email":1}\n');
    expect(one).toMatchObject({ status: 0, err: "keystead: no record has a field emial\n" });
  });

  test("stop at Ctrl-C, though the input has no end", async () => {
    const args = ["encrypt-records", "-k", "alias/people", "--fields", "email", "-o", "half"];
    const child = spawn(process.execPath, [cli, ...args], { cwd: home });
    child.stdin.write('{"email":1}\n'.repeat(10_000));
    await expect
      .poll(() => readdirSync(home).some((name) => name.endsWith(".tmp")), { timeout: 20_000 })
      .toBe(true);
    const ended = new Promise((done) => child.on("close", done));
    child.kill("SIGINT");
    expect(await ended).toBe(130);
    expect(readdirSync(home).filter((name) => /\.tmp$|^half/.test(name))).toEqual([]);
  });

  test("refuse what cannot be meant", async () => {
    expect(await keystead([...seal, "--format", "csv"], "id,email\n1,2\n")).toMatchObject({
      status: 2,
      err: expect.stringContaining('no column "ssn"'),
    });
    expect((await keystead(["encrypt-records", "--fields", "a"], "")).status).toBe(2);
    expect((await keystead(["encrypt-records", "--fields", "a,,b", "-k", "alias/people"], "")).status).toBe(
      2,
    );
    expect((await keystead([...seal, "--json"], "")).status).toBe(2);
    const told = await keystead([...seal, "--json", "-o", "told"], '{"email":1}\nx\n');
    expect(JSON.parse(told.out.toString())).toMatchObject({ To: "told", Records: 1, Failed: [{ Line: 2 }] });
    expect((await keystead([...seal, "-k", "alias/none"], '{"email":1}\n')).status).toBe(4);
  });
});

/** Each chosen value replaced by a mark and back again. */
async function through(text: string, layout: ReturnType<typeof ndjson>, step: number) {
  async function* pieces() {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
  }
  const rows: { row: Row; values: [string, string][] }[] = [];
  for await (const row of rowsOf(pieces(), layout.quoted)) {
    const values = (layout.spans(row) ?? []).map(({ field, from, to }) => [field, row.text.slice(from, to)]);
    rows.push({ row, values: values as [string, string][] });
  }
  return rows;
}

describe("the fields of a text", () => {
  test("of any JSON are the members that JSON.parse has", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.object(), { maxLength: 4 }),
        fc.integer({ min: 1, max: 40 }),
        async (objects, step) => {
          const lines = objects.map((object) => JSON.stringify(object, null, 1).replaceAll("\n", " "));
          const fields = objects.flatMap((object) => Object.keys(object));
          const rows = await through(lines.map((line) => `${line}\n`).join(""), ndjson(fields), step);
          const read = rows.map(({ values }) =>
            Object.fromEntries(
              values.map(([field, text]) => [field, JSON.parse(Buffer.from(text, "latin1").toString())]),
            ),
          );
          expect(read).toEqual(lines.map((line) => JSON.parse(line)));
        },
      ),
    ));

  test("of any CSV are its cells", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.string(), fc.string(), fc.string()), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 40 }),
        async (table, step) => {
          const cell = (text: string) => `"${text.replaceAll('"', '""')}"`;
          const text = `a,b,c\r\n${table.map((cells) => `${cells.map(cell).join(",")}\r\n`).join("")}`;
          const layout = csv(["a", "c"], (field) => new Error(field));
          const [, ...rows] = await through(text, layout, step);
          const read = rows.map(({ values }) =>
            values.map(([, raw]) => Buffer.from(raw, "latin1").toString()),
          );
          expect(read).toEqual(table.map(([a, , c]) => [cell(a), cell(c)]));
        },
      ),
    ));
});
