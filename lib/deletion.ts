import { randomUUID } from "node:crypto";
import { keyArn } from "./arn.ts";
import { failureOf } from "./failure.ts";
import type { Service } from "./request.ts";
import type { KeyRow } from "./store.ts";

/** Calls `run` every `milliseconds` until the returned function is called. */
export type Timer = (run: () => void, milliseconds: number) => () => void;

/** Does not keep the process alive. */
const everySoOften: Timer = (run, milliseconds) => {
  const timer = setInterval(run, milliseconds).unref();
  return () => clearInterval(timer);
};

export interface DeletionOptions {
  /** Milliseconds between two looks at what is due; a minute. */
  readonly interval?: number;
  readonly timer?: Timer;
}

/** The service itself, as the trail names it. */
const ITSELF = { arn: "kms.amazonaws.com", account: "", type: "Service" } as const;

/**
 * Destroys the keys whose waiting period has ended: their rows, wrapped material and aliases in one transaction,
 * and the handles of this process. What they sealed can then be opened by nobody. The event of each is durable
 * before the key is gone; when one cannot be recorded, nothing more is destroyed until a later look.
 */
export class Deletion {
  readonly #service: Service;
  readonly #stop: () => void;
  #running: Promise<number> | undefined;

  constructor(service: Service, { interval = 60_000, timer = everySoOften }: DeletionOptions = {}) {
    this.#service = service;
    const look = () => void this.runDue().catch(warn);
    this.#stop = timer(look, interval);
    // What fell due while nothing ran.
    look();
  }

  /** Resolves to the number of keys that were destroyed; a run that is under way is joined. */
  runDue(): Promise<number> {
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Looks no more, and waits for what is under way. */
  async close(): Promise<void> {
    this.#stop();
    await this.#running?.catch(() => {});
  }

  async #run(): Promise<number> {
    const { store, clock, keys, flight } = this.#service;
    let destroyed = 0;
    for (const { region, keyId } of await store.keysDue(clock())) {
      if (await flight.inTurn(() => this.#destroy(region, keyId))) destroyed++;
    }
    await keys.forgetDeleted();
    return destroyed;
  }

  async #destroy(region: string, keyId: string): Promise<boolean> {
    const { store, clock } = this.#service;
    const key = await store.key(region, keyId);
    const now = clock();
    if (key?.deletionAt == null || key.deletionAt > now) return false;
    const requestId = randomUUID();
    await this.#record(key, now, requestId, undefined);
    try {
      await store.apply([{ delete: "key", region, keyId, revision: key.revision }]);
      return true;
    } catch (cause) {
      await this.#record(key, now, requestId, cause);
      throw cause;
    }
  }

  #record(key: KeyRow, time: number, requestId: string, cause: unknown): Promise<void> {
    const arn = keyArn(key.region, key.account, key.keyId);
    return this.#service.audit.record({
      principal: ITSELF,
      time,
      operation: "DeleteKey",
      region: key.region,
      account: key.account,
      requestId,
      readOnly: false,
      resources: [arn],
      error: cause === undefined ? undefined : failureOf(cause, [arn]),
      additional: { deletionDate: new Date(key.deletionAt as number).toISOString() },
    });
  }
}

function warn(error: Error): void {
  process.emitWarning(`keys that are due could not be destroyed: ${error.message}`, "KeysteadWarning");
}
