/** Where a server listens, and how. */
export interface ServerOptions {
  /** 0, as unless told, takes one that is free. */
  port?: number;
  /** "127.0.0.1" unless told: others must be let in on purpose. */
  host?: string;
  /** PEM files, read again when they change. Without them the server speaks plain HTTP. */
  tls?: { readonly key: string; readonly cert: string };
  /** Prometheus metrics, at /metrics on the same host. None unless told; 0 takes a port that is free. */
  metricsPort?: number;
  /** How many connections may be open; 4,096 unless told. More are closed at once. */
  connections?: number;
  /** Milliseconds that a close waits for answers under way; 10,000 unless told. */
  grace?: number;
  /** Told of failures of the service's own, and of certificates that cannot be used. */
  onError?: (error: Error) => void;
}

/**
 * Bytes of a body. The largest input that AWS's model bounds is a policy of 131,072 characters, each up to 6 bytes in
 * JSON's escapes.
 */
export const BODY_LIMIT = 1 << 20;

const known = ["port", "host", "tls", "metricsPort", "connections", "grace", "onError"];

/** Throws a TypeError for what no server can be opened with; a misspelt option is not ignored. */
export function checkServerOptions(options: unknown): ServerOptions {
  if (typeof options !== "object" || options === null)
    throw new TypeError("listen takes an object of options, or nothing");
  for (const name of Object.keys(options))
    if (!known.includes(name))
      throw new TypeError(`there is no option ${name}; known are ${known.join(", ")}`);
  const { port, host, tls, metricsPort, connections, grace, onError } = options as ServerOptions;
  checkNumber("port", port, 0, 65_535);
  checkNumber("metricsPort", metricsPort, 0, 65_535);
  checkNumber("connections", connections, 1, Number.MAX_SAFE_INTEGER);
  checkNumber("grace", grace, 0, 2 ** 31 - 1);
  if (host !== undefined && (typeof host !== "string" || host === ""))
    throw new TypeError('host must be an address or a name, such as "0.0.0.0"');
  if (tls !== undefined && (typeof tls?.key !== "string" || typeof tls.cert !== "string"))
    throw new TypeError("tls must be { key, cert }, the paths of two PEM files");
  if (onError !== undefined && typeof onError !== "function")
    throw new TypeError("onError must be a function that takes an error");
  return options;
}

function checkNumber(name: string, value: unknown, least: number, most: number): void {
  if (value === undefined) return;
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most)
    throw new TypeError(`${name} must be a whole number from ${least} to ${most}`);
}
