import { compilePolicy, type Principal, parsePrincipal } from "../access.ts";
import { Identity, type Session } from "../identities.ts";
import { Requests, type Service } from "../request.ts";
import type { Credential, Host, Origin } from "../server.ts";
import type { CredentialRow, Soon } from "../store.ts";

/** A deployment as its servers see it: whose an access key is, and what he may ask where. */
export class KmsHost implements Host {
  readonly #service: Service;
  /** One for each row that the store hands out, for as long as it does: signing keys are kept by it. */
  readonly #usable = new WeakMap<CredentialRow, Credential>();
  /** By the principals of these. */
  readonly #identities = new WeakMap<Principal, Identity>();

  constructor(service: Service) {
    this.#service = service;
  }

  get clock(): () => number {
    return this.#service.clock;
  }

  serves(region: string): boolean {
    return this.#service.regions.has(region);
  }

  credential(accessKeyId: string): Soon<Credential | undefined> {
    return then(this.#service.store.credential(accessKeyId), (row) => {
      const role = row?.session?.role;
      if (role === undefined) return this.#credentialOf(row);
      // A session is of the role that was assumed, and of none that was made under its name since.
      return then(this.#service.store.principal(role), (found) =>
        found === undefined || found.createdAt > (row as CredentialRow).createdAt
          ? undefined
          : this.#credentialOf(row),
      );
    });
  }

  caller(principal: Principal, region: string, { sourceIp, userAgent, secureTransport }: Origin): Requests {
    const identity = this.#identities.get(principal) ?? new Identity(this.#service.store, principal);
    return new Requests(this.#service, { identity, region, sourceIp, userAgent, secureTransport });
  }

  #credentialOf(row: CredentialRow | undefined): Credential | undefined {
    if (row?.state !== "Active") return undefined;
    let credential = this.#usable.get(row);
    if (credential === undefined) {
      const { accessKeyId, secret, session, expiresAt } = row;
      const principal = parsePrincipal(row.principal);
      if (principal === undefined) throw new Error(`the stored principal of ${accessKeyId} is damaged`);
      credential = {
        principal,
        secret: () => this.#service.secrets.open(accessKeyId, secret),
        ...(session?.tokenHash !== undefined && {
          session: { tokenHash: session.tokenHash, expiresAt: expiresAt ?? 0 },
        }),
      };
      this.#usable.set(row, credential);
      this.#identities.set(
        principal,
        new Identity(this.#service.store, principal, { session: sessionOf(row) }),
      );
    }
    return credential;
  }
}

/** What the role behind a session's credentials was assumed with. */
function sessionOf({ session, createdAt }: CredentialRow): Session | undefined {
  if (session?.role === undefined) return undefined;
  const { role, policy, tags } = session;
  return {
    role,
    policy: policy === undefined ? undefined : compilePolicy(policy, "identity"),
    tags: tags === undefined ? undefined : JSON.parse(tags),
    issuedAt: createdAt,
  };
}

/** Goes on at once where the store could answer at once. */
function then<T, R>(soon: Soon<T>, next: (value: T) => Soon<R>): Soon<R> {
  return soon instanceof Promise ? soon.then(next) : next(soon);
}
