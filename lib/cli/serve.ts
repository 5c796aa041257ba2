import { once } from "node:events";
import type { Command } from "commander";
import type { Action, Work } from "./action.ts";
import { usage } from "./exit.ts";
import { wholeNumber } from "./pairs.ts";
import { harmless } from "./terminal.ts";

interface Options {
  port: number;
  host: string;
  tlsKey?: string;
  tlsCert?: string;
  metricsPort?: number;
}

export function serveCommand(program: Command, action: Action): void {
  program
    .command("serve")
    .description(
      "answer AWS's clients over HTTP; Ctrl-C or SIGTERM ends it once what is under way is answered",
    )
    .option("--port <number>", "where to listen; 0 takes a free one", wholeNumber(0, 65_535), 8080)
    .option("--host <address>", "who may connect: 0.0.0.0 lets in all", "127.0.0.1")
    .option("--tls-key <file>", "private key for HTTPS, PEM; read again when it changes")
    .option("--tls-cert <file>", "its certificates, PEM")
    .option("--metrics-port <number>", "metrics for Prometheus, at /metrics", wholeNumber(0, 65_535))
    .action(action(serve));
}

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/;

const serve: Work = (invocation, _, options) =>
  invocation.withKms(async (_caller, kms) => {
    const { port, host, tlsKey, tlsCert, metricsPort } = options as Options;
    const { out, err, json, signal } = invocation;
    if ((tlsKey === undefined) !== (tlsCert === undefined))
      throw usage("--tls-key and --tls-cert need each other");
    const tls = tlsKey === undefined ? undefined : { key: tlsKey, cert: tlsCert as string };
    const onError = (error: Error) => err.line(`keystead: ${told(error)}`);
    const server = await kms.listen({ port, host, tls, metricsPort, onError });
    if (tls === undefined && !LOOPBACK.test(host))
      invocation.note(
        `what is sent to ${host} is not encrypted; give --tls-key and --tls-cert, or see to it before`,
      );
    if (json) out.line(JSON.stringify({ Url: server.url, MetricsUrl: server.metricsUrl }));
    else out.line(`listening at ${server.url}`);
    if (!signal.aborted) await once(signal, "abort");
    invocation.note("ending; requests under way are answered first");
    await server.close();
  });

/** An error with its causes, which callers are not told, on one line. */
function told(error: unknown): string {
  const texts: string[] = [];
  for (let each = error; each instanceof Error && texts.length < 8; each = each.cause)
    texts.push(`${each.name}: ${each.message}`);
  return harmless(texts.join("; because of ") || String(error));
}
