import { existsSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Command } from "commander";
import { type Config, readConfig } from "../config.ts";
import { crew, findSoftHsm, type TokenInfo } from "../hsm.ts";
import { openStore } from "../store.ts";
import type { Action, Work } from "./action.ts";
import { verifyDirectory } from "./audit.ts";
import { substitutes } from "./capabilities.ts";
import { EXIT } from "./exit.ts";
import { failureOf } from "./failure.ts";
import type { Invocation } from "./invocation.ts";
import { many } from "./quantity.ts";

type Verdict = "ok" | "note" | "fail";

interface Finding {
  subject: string;
  verdict: Verdict;
  text: string;
}

export function doctorCommand(program: Command, action: Action): void {
  program
    .command("doctor")
    .description("look at the machine, the token, the database and the audit trail, and say what is amiss")
    .action(action(doctor));
}

const doctor: Work = async (invocation) => {
  const { directory } = invocation;
  const findings: Finding[] = [];
  const find = (subject: string, verdict: Verdict, text: string) => findings.push({ subject, verdict, text });
  /** What is thrown is the finding; resolves to whether nothing was. */
  const examine = async (subject: string, look: () => unknown): Promise<boolean> => {
    try {
      await look();
      return true;
    } catch (error) {
      const { message, hint, exit } = failureOf(error);
      find(subject, "fail", hint === undefined ? message : `${message}; ${hint}`);
      if (invocation.exit === EXIT.ok) invocation.exit = exit === EXIT.ok ? EXIT.failure : exit;
      return false;
    }
  };

  find("node", "ok", `${process.version} on ${process.platform}-${process.arch}`);
  await examine("engine", () => {
    const { threads, gcm, gcms } = crew();
    const slower = gcm === "openssl" && !gcms.includes("ipsec-mb") && process.arch === "x64";
    const text = `${many(threads, "thread")}, AES-GCM by ${gcm}`;
    find(
      "engine",
      slower ? "note" : "ok",
      slower ? `${text}; Intel's ipsec-mb would be faster: apt-get install libipsec-mb1` : text,
    );
  });
  let config: Config | undefined;
  await examine("directory", async () => {
    config = await readConfig(directory);
    if (config === undefined) {
      find(
        "directory",
        "fail",
        `${resolve(directory)} is not set up; run keystead init, or name another --directory`,
      );
      invocation.exit = EXIT.failure;
    } else
      find("directory", "ok", `${resolve(directory)}, account ${config.account}, Region ${config.region}`);
  });
  const module = config?.hsm?.module ?? findSoftHsm();
  if (module === undefined || !existsSync(module)) {
    find(
      "module",
      "fail",
      `${module ?? "SoftHSM"} is not there; give the path of a PKCS#11 module, or: apt-get install softhsm2`,
    );
    invocation.exit = EXIT.tokenUnavailable;
  } else find("module", "ok", module);
  if (config !== undefined) {
    privacy(directory, config, find);
    let token: TokenInfo | undefined;
    await examine("token", async () => {
      const kms = await invocation.open();
      token = kms.hsm;
      await kms.close();
    });
    if (token !== undefined) describeToken(token, find);
    await examine("database", () => describeStore(directory, find));
    await examine("audit", () => describeTrail(invocation, find));
  }
  invocation.answer({ Findings: findings, Healthy: invocation.exit === EXIT.ok }, (out) => {
    const mark = {
      ok: out.paint("green", "ok"),
      note: out.paint("yellow", "note"),
      fail: out.paint("red", "fail"),
    };
    out.table(
      undefined,
      findings.map(({ subject, verdict, text }) => [mark[verdict], subject, text]),
    );
  });
};

type Find = (subject: string, verdict: Verdict, text: string) => void;

/** Nobody but the owner may read what opens the token or tells who asked for what. */
function privacy(directory: string, config: Config, find: Find): void {
  if (process.platform === "win32") return;
  const pin = config.hsm?.pin;
  const pinFile =
    config.hsm === undefined
      ? join(directory, "pin")
      : pin !== undefined && "file" in pin
        ? pin.file
        : undefined;
  const open = [
    directory,
    pinFile,
    join(directory, "token"),
    join(directory, "audit"),
    join(directory, "keystead.db"),
  ]
    .filter((path) => path !== undefined && existsSync(path))
    .filter((path) => (statSync(path as string).mode & 0o077) !== 0);
  if (open.length === 0) find("privacy", "ok", "only the owner can read the PIN, the database and the trail");
  else find("privacy", "note", `others may read ${open.join(", ")}; chmod go= would end that`);
}

function describeToken(token: TokenInfo, find: Find): void {
  const { label, manufacturer, model, serial, library, cryptoki, lanes, handles } = token;
  find("token", "ok", `${label}: ${manufacturer} ${model}, serial ${serial}`);
  find("library", "ok", `${library}, PKCS#11 ${cryptoki}`);
  find(
    "lanes",
    "ok",
    `${lanes.symmetric} symmetric, ${lanes.asymmetric} asymmetric; room for ${many(handles.limit, "key handle")}`,
  );
  find("mechanisms", "ok", `${token.mechanisms.length}, key wrap by ${token.keyWrap}`);
  if (token.quirks.length > 0) find("quirks", "ok", token.quirks.join(", "));
  for (const { lacks, instead } of substitutes(token)) find("instead", "ok", `no ${lacks}: ${instead}`);
}

async function describeStore(directory: string, find: Find): Promise<void> {
  const file = join(directory, "keystead.db");
  const store = await openStore({ file });
  try {
    const config = await readConfig(directory);
    const { region = "", account = "" } = config ?? {};
    const keys = await store.countKeys(region, account);
    find("database", "ok", `${resolve(file)}, ${many(keys, "key")}`);
  } finally {
    await store.close();
  }
}

async function describeTrail(invocation: Invocation, find: Find): Promise<void> {
  const { report, key } = await verifyDirectory(invocation);
  if (!report.ok) {
    invocation.exit = EXIT.notVerified;
    find(
      "audit",
      "fail",
      `${many(report.problems.length, "problem")} in the trail; see keystead audit verify`,
    );
    return;
  }
  const open = report.notYetSigned > 0 ? `, ${report.notYetSigned} not yet signed` : "";
  find(
    "audit",
    "ok",
    `${many(report.lines, "line")} in ${many(report.streams.length, "stream")}, all in place${open}`,
  );
  find("audit key", "ok", `SHA-256 ${key}`);
}
