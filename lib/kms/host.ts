import { type Principal, parsePrincipal } from "../access.ts";
import { type Actor, Requests, type Service } from "../request.ts";
import type { Credential, Host, Origin } from "../server.ts";
import type { CredentialRow } from "../store.ts";

/** A deployment as its servers see it: whose an access key is, and what he may ask where. */
export class KmsHost implements Host {
  readonly #service: Service;
  readonly #identityPolicies: (principal: Principal) => Actor["identityPolicies"];
  /** One for each row that the store hands out, for as long as it does: signing keys are kept by it. */
  readonly #usable = new WeakMap<CredentialRow, Credential>();

  constructor(service: Service, identityPolicies: (principal: Principal) => Actor["identityPolicies"]) {
    this.#service = service;
    this.#identityPolicies = identityPolicies;
  }

  get clock(): () => number {
    return this.#service.clock;
  }

  serves(region: string): boolean {
    return this.#service.regions.has(region);
  }

  credential(accessKeyId: string): Credential | undefined | Promise<Credential | undefined> {
    const row = this.#service.store.credential(accessKeyId);
    return row instanceof Promise ? row.then((found) => this.#credentialOf(found)) : this.#credentialOf(row);
  }

  caller(principal: Principal, region: string, { sourceIp, userAgent, secureTransport }: Origin): Requests {
    const identityPolicies = this.#identityPolicies(principal);
    return new Requests(this.#service, {
      principal,
      identityPolicies,
      region,
      sourceIp,
      userAgent,
      secureTransport,
    });
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
        ...(session?.token !== undefined && { session: { token: session.token, expiresAt: expiresAt ?? 0 } }),
      };
      this.#usable.set(row, credential);
    }
    return credential;
  }
}
