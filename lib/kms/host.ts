import { type Principal, parsePrincipal } from "../access.ts";
import { type Actor, Requests, type Service } from "../request.ts";
import type { Credential, Host, Origin } from "../server.ts";
import type { CredentialRow } from "../store.ts";

/** How many access keys are remembered, with what was derived from their secrets. */
const REMEMBERED = 4096;

/** A deployment as its servers see it: whose an access key is, and what he may ask where. */
export class KmsHost implements Host {
  readonly #service: Service;
  readonly #identityPolicies: (principal: Principal) => Actor["identityPolicies"];
  readonly #known = new Map<string, { readonly row: CredentialRow; readonly credential: Credential }>();

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
    const row = this.#service.store.row("credential", accessKeyId);
    return row instanceof Promise ? row.then((found) => this.#usable(found)) : this.#usable(row);
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

  /** The same object for as long as the row says the same: signing keys are kept by it. */
  #usable(row: CredentialRow | undefined): Credential | undefined {
    if (row?.state !== "Active") return undefined;
    const known = this.#known.get(row.accessKeyId);
    if (known !== undefined && Buffer.compare(known.row.secret, row.secret) === 0) return known.credential;
    const principal = parsePrincipal(row.principal);
    if (principal === undefined) throw new Error(`the stored principal of ${row.accessKeyId} is damaged`);
    const { accessKeyId, secret, session, expiresAt } = row;
    const credential = {
      principal,
      secret: () => this.#service.secrets.open(accessKeyId, secret),
      ...(session?.token !== undefined && { session: { token: session.token, expiresAt: expiresAt ?? 0 } }),
    };
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(accessKeyId, { row, credential });
    return credential;
  }
}
