import { keyArn } from "./arn.ts";
import { countedId } from "./audit.ts";
import { failureOf } from "./failure.ts";
import type { Service } from "./request.ts";
import type { Change, KeyRow, Soon, Store } from "./store.ts";
import { deletion } from "./worker/deletion.ts";
import { expiry } from "./worker/expiry.ts";
import { rotation } from "./worker/rotation.ts";

/** Calls `run` every `milliseconds` until the returned function is called. */
export type Timer = (run: () => void, milliseconds: number) => () => void;

/** Does not keep the process alive. */
const everySoOften: Timer = (run, milliseconds) => {
  const timer = setInterval(run, milliseconds).unref();
  return () => clearInterval(timer);
};

export interface WorkerOptions {
  /** Milliseconds between two looks at what is due; a minute. */
  readonly interval?: number;
  readonly timer?: Timer;
}

/** What falls due for a key without anybody's asking. */
export interface Duty {
  /** The name of its event. */
  readonly event: string;
  /** The keys that it may be due for, in all Regions. */
  due(store: Store, now: number): Soon<KeyRow[]>;
  /** What is to be done with the key as it is now; undefined when that is nothing. */
  decide(service: Service, key: KeyRow, now: number): Soon<Deed | undefined>;
}

export interface Deed {
  /** Made in one transaction, once the event is durable. */
  readonly changes: readonly Change[];
  /** For the event. */
  readonly details: Readonly<Record<string, string>>;
}

const DUTIES: readonly Duty[] = [deletion, expiry, rotation];

/** The service itself, as the trail names it. */
const ITSELF = { arn: "kms.amazonaws.com", account: "", type: "Service" } as const;

/**
 * Does what is due. The event of each change is durable before it is made; when one cannot be recorded, it is not
 * made until a later look. Several processes may look at the same time: of two that do the same, the revision of the
 * key lets one through. A crash leaves a change whole or not made, and the next look makes it.
 */
export class Worker {
  readonly #service: Service;
  readonly #stop: () => void;
  #running: Promise<number> | undefined;

  constructor(service: Service, { interval = 60_000, timer = everySoOften }: WorkerOptions = {}) {
    this.#service = service;
    const look = () => void this.runDue().catch(warn);
    this.#stop = timer(look, interval);
    // What fell due while nothing ran.
    look();
  }

  /** Resolves to how much was done; a run that is under way is joined. What fails keeps nothing else from its turn. */
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
    const { store, clock, keys, uses, keyStores, flight } = this.#service;
    const failures: unknown[] = [];
    let done = 0;
    for (const duty of DUTIES) {
      for (const { region, keyId } of await duty.due(store, clock())) {
        try {
          if (await flight.inTurn(() => this.#do(duty, region, keyId))) done++;
        } catch (cause) {
          failures.push(cause);
        }
      }
    }
    await keys.forgetDeleted();
    await uses.save();
    await keyStores.clusters.sweep(clock());
    if (failures.length > 0) throw failures[0];
    return done;
  }

  async #do(duty: Duty, region: string, keyId: string): Promise<boolean> {
    const { store, clock } = this.#service;
    const key = await store.key(region, keyId);
    const now = clock();
    const deed = key && (await duty.decide(this.#service, key, now));
    if (key === undefined || deed === undefined) return false;
    const event = this.#eventOf(duty, key, deed, now);
    await this.#service.audit.record(event);
    try {
      await store.apply(deed.changes);
      return true;
    } catch (cause) {
      await this.#service.audit.record({ ...event, error: failureOf(cause, event.resources) });
      throw cause;
    }
  }

  #eventOf({ event }: Duty, { region, account, keyId }: KeyRow, { details }: Deed, time: number) {
    return {
      principal: ITSELF,
      time,
      operation: event,
      region,
      account,
      requestId: countedId(),
      readOnly: false,
      resources: [keyArn(region, account, keyId)],
      additional: details,
    };
  }
}

function warn(error: Error): void {
  process.emitWarning(`not all that is due could be done: ${error.message}`, "KeysteadWarning");
}
