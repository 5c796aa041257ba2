import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { type Explanation, type Scenario, simulate } from "../access.ts";
import type { ExplainOutput } from "../kms.ts";
import type { Action, Work } from "./action.ts";
import { EXIT, usage } from "./exit.ts";
import { collectPair } from "./pairs.ts";
import { harmless, type Terminal } from "./terminal.ts";

export function explainCommands(program: Command, action: Action): void {
  program
    .command("explain")
    .description("say whether the caller that --as names may do something, why, and what would let it")
    .requiredOption("--operation <name>", "such as Encrypt")
    .option("-k, --key <key>", "key id, ARN or alias")
    .option(
      "-c, --context <name=value>",
      "pair of the encryption context; may be given several times",
      collectPair,
    )
    .option("--input <file>", "further members of the input, a JSON file")
    .option("--tag <name=value>", "tag of the caller; may be given several times", collectPair)
    .option("--via <service>", "the service that asks on its behalf: SERVICE.REGION.amazonaws.com")
    .option("--source-ip <address>", "where the request comes from")
    .action(action(explain));
  program
    .command("simulate")
    .description("the same from files alone, for tests of policies; nothing is opened")
    .requiredOption("--request <file>", "principal, action, resource, context…, a JSON file (docs/access.md)")
    .option("--policy <file>", "key policy, a JSON file")
    .option("--identity <file...>", "identity policies")
    .option("--boundary <file>", "permissions boundary")
    .option("--session-policy <file>", "session policy")
    .option("--scp <file...>", "service control policies")
    .action(action(simulateFiles));
}

interface Explain {
  operation: string;
  key?: string;
  context?: Record<string, string>;
  input?: string;
  tag?: Record<string, string>;
  via?: string;
  sourceIp?: string;
}

const explain: Work = (invocation, _, given) =>
  invocation.withKms(async (caller, root) => {
    const { operation, key, context, input, tag, via, sourceIp } = given as Explain;
    const kms = root.inRegion(caller.region);
    const further = input === undefined ? {} : await json(input);
    const explained = await kms.explain({
      Principal: caller.principal,
      Operation: operation,
      Input: {
        // As it is: policies may ask by which alias a key is called.
        ...(key !== undefined && { KeyId: key }),
        ...(context !== undefined && { EncryptionContext: context }),
        ...further,
      },
      Tags: tag,
      Via: via,
      SourceIp: sourceIp,
    });
    const { Allowed, Decisions, Error: error } = explained as ExplainOutput;
    if (!Allowed) invocation.exit = EXIT.accessDenied;
    invocation.answer({ Allowed, Decisions, Error: error }, (out) => {
      for (const decision of Decisions) print(out, `${decision.action} on ${decision.resource}`, decision);
      if (error !== undefined) out.line(out.paint("yellow", harmless(error)));
    });
  });

interface Simulate {
  request: string;
  policy?: string;
  identity?: string[];
  boundary?: string;
  sessionPolicy?: string;
  scp?: string[];
}

const simulateFiles: Work = async (invocation, _, given) => {
  const options = given as Simulate;
  const texts = (files: readonly string[] = []) => Promise.all(files.map((file) => readFile(file, "utf8")));
  const one = (file: string | undefined) => texts(file === undefined ? [] : [file]);
  const scenario = (await json(options.request)) as Scenario;
  const [keyPolicy] = await one(options.policy);
  const layers = [
    { kind: "service control policy", policies: await texts(options.scp) },
    { kind: "permissions boundary", policies: await one(options.boundary) },
    { kind: "session policy", policies: await one(options.sessionPolicy) },
  ] as const;
  const explanation = simulate({
    ...scenario,
    ...(keyPolicy !== undefined && { keyPolicy }),
    identityPolicies: [...(scenario.identityPolicies ?? []), ...(await texts(options.identity))],
    layers: [...(scenario.layers ?? []), ...layers.filter(({ policies }) => policies.length > 0)],
  });
  if (!explanation.allowed) invocation.exit = EXIT.accessDenied;
  invocation.answer(explanation, (out) =>
    print(out, `${scenario.action} on ${scenario.resource ?? "*"}`, explanation),
  );
};

async function json(file: string): Promise<object> {
  const text = await readFile(file, "utf8");
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw usage(`${file} is not JSON: ${(cause as Error).message}`);
  }
}

/** A decision for people: what decided, the conditions of what came near, and what would have allowed. */
function print(out: Terminal, what: string, explanation: Explanation): void {
  const { allowed, reason, statement, identityStatement, grantId, statements, wouldAllow } = explanation;
  out.line(`${out.paint(allowed ? "green" : "red", allowed ? "allowed" : "refused")}: ${harmless(what)}`);
  out.line(`  ${reason}`);
  for (const place of [statement, identityStatement]) if (place !== null) out.line(`  by ${nameOf(place)}`);
  if (grantId !== null) out.line(`  by grant ${grantId}`);
  for (const each of statements) {
    if (each.principal === null || !each.action || !each.resource) continue;
    for (const { operator, key, values, seen, holds } of each.conditions) {
      const mark = holds ? out.paint("green", "holds") : out.paint("yellow", "does not hold");
      const found = seen === null ? "the request lacks it" : `the request has ${JSON.stringify(seen)}`;
      const wanted = harmless(`${operator} ${key} ${JSON.stringify(values)}: ${found}`);
      out.line(`  ${nameOf(each)}: ${wanted}; ${mark}`);
    }
  }
  for (const { what } of wouldAllow) out.line(`  to allow it, ${harmless(what)}`);
}

type Place = NonNullable<Explanation["statement"]>;

function nameOf({ place, policy, index, sid }: Place): string {
  const name = policy === null ? "" : ` ${policy}`;
  return harmless(`${place}${name}, statement ${sid === null ? index : `${sid} (${index})`}`);
}
