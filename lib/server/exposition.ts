import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { listen } from "./listener.ts";

/** Metrics for Prometheus on a port of their own, so that who may use keys need not see them, nor the other way round. */
export class Exposition {
  readonly #server: Server;

  constructor(text: () => Promise<string>) {
    this.#server = createServer({ headersTimeout: 5_000, requestTimeout: 5_000 }, (request, response) => {
      request.resume();
      if (request.method !== "GET" || request.url !== "/metrics") {
        response.writeHead(404).end();
        return;
      }
      text().then(
        (body) =>
          response.writeHead(200, { "Content-Type": "text/plain; version=0.0.4; charset=utf-8" }).end(body),
        () => response.writeHead(500).end(),
      );
    });
    this.#server.maxConnections = 64;
  }

  listen(port: number, host: string, onError: (error: Error) => void): Promise<AddressInfo> {
    return listen(this.#server, { port, host }, onError);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}
