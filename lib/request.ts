import { isService, ownerOf } from "./arn.ts";
import { type Audit, type AuditEvent, countedId } from "./audit.ts";
import {
  AccessDeniedException,
  KMSInternalException,
  type KmsError,
  UnknownOperationException,
} from "./errors.ts";
import { failureOf } from "./failure.ts";
import type { Hsm } from "./hsm.ts";
import { Identity } from "./identities.ts";
import type { KeyStores } from "./key-stores.ts";
import type { KeyQuota, KeyRing, KeyUses } from "./keys.ts";
import { type Markers, readGrantToken } from "./marker.ts";
import { type Operation, tracked } from "./operation.ts";
import { createServiceKey, table } from "./operations.ts";
import { Admission, type Further } from "./request/admission.ts";
import type { Flight } from "./request/flight.ts";
import { rehearse } from "./request/rehearsal.ts";
import { snapshot } from "./request/snapshot.ts";
import type { Secrets } from "./secrets.ts";
import { validate } from "./shape.ts";
import { type Change, type Store, StoreConflict } from "./store.ts";

/** What envelopes and servers need of whoever they work for. */
export interface Caller {
  /** The Region that answers, where that matters: its multi-Region keys are there under ARNs of its own. */
  readonly region?: string;
  /** The same caller in another Region; throws where that is not served. */
  inRegion?(region: string): Caller;
  /** Any operation by its name; resolves to its output, or rejects with a `KmsError`. */
  request(operation: string, input: object): Promise<object>;
}

/** Who makes requests, and where to. */
export interface Actor {
  readonly identity: Identity;
  /** The Region that answers: nothing of another is found there. */
  readonly region: string;
  /** How the requests came in, where that was by a network. */
  readonly sourceIp?: string | undefined;
  readonly userAgent?: string | undefined;
  readonly secureTransport?: boolean | undefined;
  /** The service that asks on the caller's behalf: `SERVICE.REGION.amazonaws.com`. */
  readonly via?: string | undefined;
  /** The resource that a service asks for. */
  readonly sourceArn?: string | undefined;
}

/** What every request to one open deployment stands on. */
export interface Service {
  /** The Region of callers that name none. */
  readonly region: string;
  /** All that are served, each with a domain key of its own. */
  readonly regions: ReadonlySet<string>;
  /** Whose events the trail holds; also answers for callers that have no account of their own. */
  readonly account: string;
  readonly clock: () => number;
  readonly store: Store;
  readonly hsm: Hsm;
  readonly audit: Audit;
  readonly keys: KeyRing;
  readonly keyStores: KeyStores;
  readonly quota: KeyQuota;
  readonly markers: Markers;
  readonly uses: KeyUses;
  readonly secrets: Secrets;
  readonly flight: Flight;
}

export { Flight } from "./request/flight.ts";

/** How often a change is decided anew when another process has changed the same rows meanwhile. */
const ATTEMPTS = 4;

type Members = Readonly<Record<string, unknown>>;
type Accepted = { readonly input: Members } | { readonly error: KmsError };

/** An operation that changes the store. */
type Changing = Extract<Operation, { readonly run?: undefined }>;

const making = createServiceKey as Operation as Changing;

/** An event that is on its way to the disk before its request's work is done. */
interface Foreseen {
  readonly event: AuditEvent;
  readonly durable: Promise<unknown>;
}

interface Outcome {
  readonly output?: object;
  readonly changes?: readonly Change[];
  readonly error?: KmsError;
}

/**
 * The one path that every request takes: shape → key → access → state → run → audit → answer. Access comes before
 * state, as in AWS: whoever may not use a key learns nothing of its state.
 *
 * No answer and no error leaves before its event is durable; when it cannot be made so, the answer is a
 * `KMSInternalException`. An operation that changes the store only decides: the event is recorded first and the
 * changes are applied after it, in one transaction, so that nothing changes that the trail does not have. Should
 * they fail to apply, a second event with the same request id says so; after a crash in between, the trail has
 * the event of a change that was not made, and nobody has its answer. The same goes for work whose event is foreseen:
 * it is recorded while the work is under way, and a second event says when that failed.
 */
export class Requests implements Caller {
  readonly actor: Actor;
  readonly #service: Service;

  constructor(service: Service, actor: Actor) {
    this.#service = service;
    this.actor = actor;
  }

  /** What only answers runs in this one async frame: each further one takes 0.3 µs of the main thread's 8 a call. */
  async request(name: string, input: object): Promise<object> {
    const { flight, uses } = this.#service;
    flight.enter();
    try {
      const operation = table.get(name);
      if (operation === undefined) return await this.#unknown(name);
      const accepted = accept(operation, input);
      if (operation.run === undefined) {
        const change = () => this.#change(operation, accepted);
        return await (operation.independent ? change() : flight.inTurn(change));
      }
      const request = this.#begin();
      let outcome: Outcome;
      let foreseen: Foreseen | undefined;
      if ("error" in accepted) {
        outcome = accepted;
      } else {
        try {
          const admitted = admit(operation, request, accepted.input);
          // Most requests reach the HSM's queue in the very turn that they were made in.
          const key = admitted instanceof Promise ? await admitted : admitted;
          const running = operation.run(request, accepted.input as never, key);
          if (request.foreseen) foreseen = this.#foresee(name, request);
          outcome = { output: await running };
        } catch (cause) {
          outcome = { error: failureOf(cause, request.resources) };
        }
      }
      const foretold = outcome.error === undefined ? foreseen : undefined;
      const event = foretold?.event ?? this.#event(name, true, request, outcome);
      const use = outcome.error === undefined ? tracked.get(name) : undefined;
      if (use !== undefined) event.eventId ??= countedId();
      try {
        if (foreseen !== undefined) await foreseen.durable;
        if (foretold === undefined) await this.#put(request, event);
      } catch (cause) {
        throw unrecorded(request, cause);
      }
      if (use !== undefined) uses.note(use, event, request.admitted);
      return answer(request, outcome);
    } finally {
      flight.leave();
    }
  }

  /** Puts on record what could not become a request, such as what is not JSON; then rejects with `error`. */
  async refuse(operation: string, error: KmsError): Promise<never> {
    const { flight } = this.#service;
    flight.enter();
    try {
      return await this.#refuse(operation, error);
    } finally {
      flight.leave();
    }
  }

  async #change(operation: Changing, accepted: Accepted): Promise<object> {
    const id = countedId();
    for (let attempt = 1; ; attempt++) {
      const request = this.#begin(id);
      const outcome = await this.#decide(operation, request, accepted);
      await this.#record(operation.name, false, request, outcome);
      if (outcome.changes === undefined || outcome.changes.length === 0) return answer(request, outcome);
      try {
        await this.#service.store.apply(outcome.changes);
        return answer(request, outcome);
      } catch (cause) {
        const error = failureOf(cause, request.resources);
        await this.#record(operation.name, false, request, { error });
        if (!(cause instanceof StoreConflict) || attempt === ATTEMPTS) return answer(request, { error });
      }
    }
  }

  /** Never rejects: what goes wrong is the outcome. */
  async #decide(operation: Changing, request: Admission, accepted: Accepted): Promise<Outcome> {
    if ("error" in accepted) return accepted;
    try {
      const key = await admit(operation, request, accepted.input);
      return await operation.decide(request, accepted.input as never, key);
    } catch (cause) {
      return { error: failureOf(cause, request.resources) };
    }
  }

  #unknown(name: string): Promise<never> {
    const error = new UnknownOperationException(
      `There is no operation ${JSON.stringify(String(name).slice(0, 100))}.`,
    );
    return this.#refuse("UnknownOperation", error);
  }

  async #refuse(operation: string, error: KmsError): Promise<never> {
    const request = this.#begin();
    await this.#record(operation, true, request, { error });
    return answer(request, { error }) as never;
  }

  #begin(id: string = countedId()): Admission {
    return new Admission(this.#service, this.actor, id, this.#further);
  }

  /** In the account that is to have it: a customer's, or the service's own. */
  #makeServiceKey(account: string, AliasName: string): Promise<unknown> {
    const { region, identity } = this.actor;
    return this.#service.flight.jointly(`${region} ${account} ${AliasName}`, () => {
      const owner = new Identity(this.#service.store, { ...identity.principal, account });
      const requests = new Requests(this.#service, { ...this.actor, identity: owner });
      return requests.#change(making, accept(making, { AliasName }));
    });
  }

  readonly #further: Further = {
    makeServiceKey: (account, alias) => this.#makeServiceKey(account, alias),
    rehearse: (service, rehearsal) => rehearse(service, rehearsal, admit),
  };

  /** Its failure is that of the request, once the work is done too. */
  #foresee(name: string, request: Admission): Foreseen {
    const event = this.#event(name, true, request, {});
    event.eventId = countedId();
    const durable = this.#put(request, event);
    durable.catch(() => {});
    return { event, durable };
  }

  async #record(name: string, readOnly: boolean, request: Admission, outcome: Outcome): Promise<void> {
    try {
      await this.#put(request, this.#event(name, readOnly, request, outcome));
    } catch (cause) {
      throw unrecorded(request, cause);
    }
  }

  /** What concerns several accounts is an event of each; what a service owns is shown to the service alone. */
  #put({ accounts }: Admission, event: AuditEvent): Promise<unknown> {
    const { audit } = this.#service;
    if (accounts === undefined) return audit.record(event);
    const recipients = recipientsOf(event, accounts);
    const sharedEventId = recipients.length > 1 ? countedId() : undefined;
    const copies = recipients.map((account, i) => ({
      ...event,
      account,
      sharedEventId,
      resources: event.resources.filter((arn) => ownerOf(arn) === account || !isService(ownerOf(arn))),
      eventId: i === 0 ? event.eventId : undefined,
    }));
    return Promise.all(copies.map((copy) => audit.record(copy)));
  }

  #event(operation: string, readOnly: boolean, request: Admission, { output, error }: Outcome): AuditEvent {
    const { identity, region, sourceIp, userAgent } = this.actor;
    return {
      principal: identity.principal,
      time: request.now,
      operation,
      region,
      account: request.account,
      input: request.input,
      output,
      requestId: request.id,
      readOnly,
      resources: request.resources,
      error,
      additional: request.notes,
      sourceIp,
      userAgent,
    };
  }
}

/**
 * What was denied to a caller of another account is an event of the caller's account alone, as AWS has it ("Logging AWS
 * KMS API calls with AWS CloudTrail"): nobody can fill an account's trail who may do nothing there.
 */
function recipientsOf({ account, error }: AuditEvent, accounts: ReadonlySet<string>): string[] {
  const all = [...accounts];
  if (!(error instanceof AccessDeniedException)) return all;
  return all.filter((each) => each === account || isService(each));
}

function unrecorded(request: Admission, cause: unknown): KmsError {
  const text = "The request could not be recorded in the audit log, so that it is refused.";
  const refusal = new KMSInternalException(text, { cause });
  refusal.$metadata.requestId = request.id;
  return refusal;
}

/** Holds the input to the operation's shape, and keeps it as it is now. */
function accept(operation: Operation, input: object): Accepted {
  try {
    return { input: snapshot(operation, validate(operation.input, input), input) };
  } catch (cause) {
    return { error: failureOf(cause, []) };
  }
}

/** The key that the operation is about; an operation that is about none may be about the account. */
function admit(operation: Operation, request: Admission, input: Members) {
  request.input = input;
  const identified = request.identify();
  if (identified instanceof Promise) return identified.then(() => admitIdentified(operation, request, input));
  return admitIdentified(operation, request, input);
}

function admitIdentified(operation: Operation, request: Admission, input: Members) {
  for (const token of (input.GrantTokens as readonly string[] | undefined) ?? [])
    readGrantToken(request.markers, request.region, token);
  const { key, action, resource, states = {}, usage, contexts } = operation;
  if (key !== undefined)
    return request.admit(input[key.member] as string, {
      action,
      aliases: key.aliases,
      states,
      usage,
      contexts: contexts && (() => contexts(input)),
    });
  if (resource !== undefined) request.authorise(action, resource);
  return undefined;
}

/** The members that every answer and every error of the AWS SDK have besides their own. */
function answer(request: Admission, { output, error }: Outcome): object {
  if (error !== undefined) {
    error.$metadata.requestId = request.id;
    throw error;
  }
  const answered = output as { $metadata?: object };
  answered.$metadata = { httpStatusCode: 200, requestId: request.id, attempts: 1, totalRetryDelay: 0 };
  return answered;
}
