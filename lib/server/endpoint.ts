import type { Principal } from "../access.ts";
import type { KmsError } from "../errors.ts";
import { failureOf } from "../failure.ts";
import { isForSts, performSts, stsError, stsOperationOf } from "./identity.ts";
import type { HttpAnswer, HttpRequest } from "./message.ts";
import type { Metrics } from "./metrics.ts";
import { errorAnswer, operationOf, perform, type ServedCaller } from "./perform.ts";
import { type Authority, Verifier } from "./sigv4.ts";

/** How a request came in, for its audit event. */
export interface Origin {
  readonly sourceIp: string | undefined;
  readonly userAgent: string | undefined;
  readonly secureTransport: boolean;
}

/** The service behind a server. */
export interface Host extends Authority {
  /** Whoever was authenticated, in the Region of his signature. */
  caller(principal: Principal, region: string, origin: Origin): ServedCaller;
}

/** CloudTrail's bound of `userAgent`. */
const LONGEST_AGENT = 1024;

/** Answers HTTP requests, whatever carries them: whoever asks is authenticated before his body is read. */
export class Endpoint {
  readonly #host: Host;
  readonly #metrics: Metrics;
  readonly #report: (error: Error) => void;
  readonly #verifier: Verifier;

  /** `report` is told of each error that is the service's own fault, with its cause. */
  constructor(host: Host, metrics: Metrics, report: (error: Error) => void) {
    this.#host = host;
    this.#metrics = metrics;
    this.#report = report;
    this.#verifier = new Verifier(host);
  }

  /** Never rejects: errors are answers. */
  async answer(request: HttpRequest): Promise<HttpAnswer> {
    const began = this.#metrics.begin();
    let operation: string | undefined;
    let failure: KmsError | undefined;
    try {
      const verified = this.#verifier.verify(request);
      const identity = verified instanceof Promise ? await verified : verified;
      const forSts = identity.service === "sts";
      operation = forSts ? stsOperationOf(request) : operationOf(request)?.name;
      const { fields, sourceIp, secure: secureTransport } = request;
      const userAgent = fields.get("user-agent")?.slice(0, LONGEST_AGENT);
      const origin = { sourceIp, userAgent, secureTransport };
      const caller = this.#host.caller(identity.principal, identity.region, origin);
      return await (forSts ? performSts(caller, request, identity) : perform(caller, request));
    } catch (cause) {
      failure = failureOf(cause, []);
      if (failure.$fault === "server") this.#report(failure);
      return isForSts(request) ? stsError(failure) : errorAnswer(failure);
    } finally {
      this.#metrics.end(began, operation, failure?.name);
    }
  }
}
