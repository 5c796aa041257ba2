import type { Hsm } from "./hsm.ts";
import { Endpoint, type Host } from "./server/endpoint.ts";
import { Exposition } from "./server/exposition.ts";
import { Health } from "./server/health.ts";
import { Listener } from "./server/listener.ts";
import { Metrics } from "./server/metrics.ts";
import { checkServerOptions, type ServerOptions } from "./server/options.ts";
import { answerFetch } from "./server/web.ts";

export type { Host, Origin } from "./server/endpoint.ts";
export { type ClientRequest, type ClientResponse, InProcessHandler } from "./server/in-process.ts";
export type { ServerOptions } from "./server/options.ts";
export type { ServedCaller } from "./server/perform.ts";
export type { Credential } from "./server/sigv4.ts";

/** A server that listens. */
export class Server implements AsyncDisposable {
  /** Such as "http://127.0.0.1:8080". */
  readonly url: string;
  readonly port: number;
  /** Such as "http://127.0.0.1:9090/metrics"; undefined without a port for them. */
  readonly metricsUrl: string | undefined;
  readonly #close: () => Promise<void>;

  constructor(url: string, port: number, metricsUrl: string | undefined, close: () => Promise<void>) {
    this.url = url;
    this.port = port;
    this.metricsUrl = metricsUrl;
    this.#close = close;
  }

  /** Takes no more connections; resolves once what was under way has its answer. */
  close(): Promise<void> {
    return this.#close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** All the ways into one service by HTTP; they share their metrics. */
export class Serving {
  readonly #host: Host;
  readonly #hsm: Hsm;
  readonly #metrics = new Metrics();
  readonly #health: Health;
  #web: Endpoint | undefined;

  constructor(host: Host, hsm: Hsm) {
    this.#host = host;
    this.#hsm = hsm;
    this.#health = new Health(() => hsm.random(16));
  }

  /** Resolves once it listens. Throws a TypeError for options that are wrong, rejects when it cannot listen. */
  async listen(given: ServerOptions = {}): Promise<Server> {
    const options = checkServerOptions(given);
    const { port = 0, host = "127.0.0.1", metricsPort, onError = () => {} } = options;
    const listener = new Listener(this.#endpoint(onError), this.#health, options);
    const scheme = listener.secure ? "https" : "http";
    const name = host.includes(":") ? `[${host}]` : host;
    let exposition: Exposition | undefined;
    const close = async () => {
      await listener.close();
      await exposition?.close();
    };
    try {
      const bound = await listener.listen(port, host);
      let metricsUrl: string | undefined;
      if (metricsPort !== undefined) {
        exposition = new Exposition(async () => this.#metrics.text(await this.#gauges(listener)));
        const { port: metricsAt } = await exposition.listen(metricsPort, host, onError);
        metricsUrl = `http://${name}:${metricsAt}/metrics`;
      }
      return new Server(`${scheme}://${name}:${bound.port}`, bound.port, metricsUrl, close);
    } catch (error) {
      await close().catch(() => {});
      throw error;
    }
  }

  fetch(request: Request): Promise<Response> {
    this.#web ??= this.#endpoint();
    return answerFetch(this.#web, request);
  }

  #endpoint(report: (error: Error) => void = () => {}): Endpoint {
    return new Endpoint(this.#host, this.#metrics, report);
  }

  async #gauges(listener: Listener) {
    const { handles, available } = this.#hsm.info();
    return { handles, available, connections: await listener.connections() };
  }
}
