import {
  type AccessRequest,
  accessDenied,
  compilePolicy,
  type Decision,
  decide,
  type Grant,
  lockoutCheck,
  type Principal,
  type Reason,
} from "../access.ts";
import { algorithmOf, type KeySpec } from "../algorithms.ts";
import {
  aliasArn,
  type Home,
  type KeyReference,
  keyArn,
  parseKeyOnly,
  parseKeyReference,
  referenceNotFound,
} from "../arn.ts";
import { readHead } from "../ciphertext.ts";
import { grantNotFound, InvalidCiphertextException, incorrectKey, invalidUsage } from "../errors.ts";
import type { Hsm } from "../hsm.ts";
import type { KeyQuota, KeyRing } from "../keys.ts";
import type { Markers } from "../marker.ts";
import { checkState, type Request, type SealedUnder, type Admission as Terms } from "../operation.ts";
import type { Actor, Service } from "../request.ts";
import type { Secrets } from "../secrets.ts";
import type { GrantRow, KeyRow, Soon, Store } from "../store.ts";
import { circumstances, type Facts } from "./circumstances.ts";
import { indexOf, readyFor } from "./ready.ts";

/** How many keys and aliases an event names; a batch may be about more, and then says how many. */
const RESOURCES = 100;

type Members = Readonly<Record<string, unknown>>;
type Pairs = Readonly<Record<string, string>>;

/** One request on its way: lets it at keys, and gathers what its audit event will say. */
export class Admission implements Request {
  readonly id: string;
  readonly principal: Principal;
  readonly region: string;
  readonly account: string;
  readonly now: number;
  readonly store: Store;
  readonly hsm: Hsm;
  readonly keys: KeyRing;
  readonly quota: KeyQuota;
  readonly markers: Markers;
  readonly secrets: Secrets;
  /** The input, once it is known to be valid. */
  input: Members | undefined;
  /** ARNs. */
  readonly resources: string[] = [];
  notes: Record<string, string | number> | undefined;
  readonly #service: Service;
  readonly #actor: Actor;
  /** Of an operation that is about two. */
  #firstKeyId: string | undefined;
  readonly #home: Home;

  constructor(service: Service, actor: Actor, id: string) {
    const { principal, region } = actor;
    this.id = id;
    this.principal = principal;
    this.region = region;
    this.account = principal.account === "" ? service.account : principal.account;
    this.now = service.clock();
    this.store = service.store;
    this.hsm = service.hsm;
    this.keys = service.keys;
    this.quota = service.quota;
    this.markers = service.markers;
    this.secrets = service.secrets;
    this.#service = service;
    this.#actor = actor;
    this.#home = this;
  }

  admit(text: string, terms: Terms): Soon<KeyRow> {
    const reference = this.#read(text, terms.aliases);
    return then(this.#find(reference), (key) => {
      if (key !== undefined) return this.#allow(key, terms, reference);
      // Another account's caller cannot tell a key that is not there from one that is closed to it.
      if (reference.account !== this.account)
        throw this.#denied(terms.action, nameOf(reference, this.region), reference.account);
      throw referenceNotFound(reference, this.region);
    });
  }

  findOwn(text: string): Soon<KeyRow> {
    const reference = this.#read(text, false);
    return then(this.#find(reference), (key) => {
      if (key === undefined || key.account !== this.account) throw referenceNotFound(reference, this.region);
      return key;
    });
  }

  admitCiphertext(ciphertext: Uint8Array, text: string | undefined, terms: Terms): Soon<SealedUnder> {
    const head = readHead(ciphertext);
    if (text !== undefined)
      return then(this.admit(text, terms), (key) => {
        // What an RSA key encrypts says nothing of its key.
        if (algorithmOf(key.keySpec as KeySpec).material.type === "rsa")
          return { key, materialId: key.materialId as string };
        if (head === undefined) throw new InvalidCiphertextException();
        if (head.keyId === key.keyId) return { key, materialId: head.materialId };
        return then(this.store.key(this.region, head.keyId), (other) => {
          throw other === undefined ? new InvalidCiphertextException() : incorrectKey();
        });
      });
    if (head === undefined) throw new InvalidCiphertextException();
    return then(this.store.key(this.region, head.keyId), (key) => {
      if (key !== undefined)
        return then(this.#allow(key, terms, undefined), () => ({ key, materialId: head.materialId }));
      if (this.account === this.#service.account) throw new InvalidCiphertextException();
      throw this.#denied(terms.action, CIPHERTEXTS_KEY, this.#service.account);
    });
  }

  async admitRetirement(text: string, grantId: string): Promise<GrantRow> {
    const reference = this.#read(text, false);
    const action = "kms:RetireGrant";
    const key = await this.#find(reference);
    const grant = key && (await this.store.row("grant", this.region, key.keyId, grantId));
    if (key === undefined || grant === undefined) {
      if (reference.account !== this.account)
        throw this.#denied(action, nameOf(reference, this.region), reference.account, "no part in the grant");
      throw key === undefined ? referenceNotFound(reference, this.region) : grantNotFound(grantId);
    }
    const { arn, policy: keyPolicy } = readyFor(key);
    this.#concerns(arn);
    const about = { action, resource: arn, account: key.account, retiring: grant };
    this.#decide({ keyPolicy, ...about }, { key }, arn);
    return grant;
  }

  checkPolicy(
    key: Pick<KeyRow, "region" | "account" | "keyId">,
    policy: string,
    bypassLockout: boolean,
  ): void {
    const keyPolicy = compilePolicy(policy);
    if (bypassLockout) return;
    const { principal } = this;
    const resource = keyArn(key.region, key.account, key.keyId);
    const { identityPolicies } = this.#actor;
    lockoutCheck({ principal, resource, account: key.account, keyPolicy, identityPolicies });
  }

  authorise(action: string, resource: string): void {
    if (resource !== "*") this.#concerns(resource);
    this.#decide({ action, resource, account: this.account }, {}, resource);
  }

  note(name: string, value: string | number): void {
    this.notes ??= {};
    this.notes[name] = value;
  }

  #read(text: string, aliases: boolean): KeyReference {
    if (aliases) return parseKeyReference(text, this.#home);
    return { type: "key", ...parseKeyOnly(text, this.#home) };
  }

  #find(reference: KeyReference): Soon<KeyRow | undefined> {
    const { store, region } = this;
    const { account } = reference;
    if (reference.type === "key")
      return then(store.key(region, reference.keyId), (key) => (key?.account === account ? key : undefined));
    const alias = store.alias(region, account, reference.name);
    return then(alias, (row) => row && store.key(region, row.keyId));
  }

  /** `reference` is what the caller called the key by, unless it was by a ciphertext. */
  #allow(key: KeyRow, terms: Terms, reference: KeyReference | undefined): Soon<KeyRow> {
    return then(this.store.grants(this.region, key.keyId), (grants) => {
      const { arn, policy: keyPolicy } = readyFor(key);
      this.#concerns(arn);
      let shown = arn;
      if (key.account !== this.account)
        shown = reference === undefined ? CIPHERTEXTS_KEY : nameOf(reference, this.region);
      const alias = reference?.type === "alias" ? reference.name : undefined;
      const about = { resource: arn, account: key.account, keyPolicy, grants: indexOf(grants) };
      this.#decideEach({ ...about, action: terms.action }, { key, alias, contexts: terms.contexts }, shown);
      this.#firstKeyId ??= key.keyId;
      checkState(terms.states, key.keyState, arn);
      if (terms.usage !== undefined && terms.usage !== key.keyUsage)
        throw invalidUsage(arn, key.keyUsage, terms.action.slice("kms:".length));
      return key;
    });
  }

  /** One decision for all encryption contexts of a batch, unless it depends on them: then one for each. */
  #decideEach(
    about: Omit<AccessRequest, "principal">,
    { contexts, ...facts }: Particulars,
    shown: string,
  ): void {
    const [first, ...others] = new Set(contexts?.() ?? [this.#encryptionContext(about.action)]);
    if (!this.#decide(about, { ...facts, encryptionContext: first }, shown)) return;
    for (const encryptionContext of others) this.#decide(about, { ...facts, encryptionContext }, shown);
  }

  /** Throws unless the caller may. Returns whether that depended on the encryption context. */
  #decide(
    about: Omit<AccessRequest, "principal">,
    particulars: Partial<Pick<Facts, "key" | "alias">> & { encryptionContext?: Pairs | undefined },
    shown: string,
  ): boolean {
    const { principal, now } = this;
    const { encryptionContext } = particulars;
    let contextual = false;
    const seen = () => {
      contextual = true;
      return encryptionContext;
    };
    const context = circumstances({
      actor: this.#actor,
      now,
      action: about.action,
      input: this.input ?? {},
      key: particulars.key,
      alias: particulars.alias,
      aliases: () => this.#aliasesOf(particulars.key),
      encryptionContext: seen,
      firstKeyId: this.#firstKeyId,
    });
    const { identityPolicies } = this.#actor;
    const request: AccessRequest = {
      principal,
      identityPolicies,
      context,
      ...about,
      granting: about.action === "kms:CreateGrant" ? grantingOf(this.input ?? {}) : undefined,
      get encryptionContext() {
        return seen();
      },
    };
    const decision = decide(request);
    this.note("access", explained(decision));
    if (!decision.allowed) throw accessDenied({ ...about, principal, resource: shown }, decision);
    return contextual;
  }

  #encryptionContext(action: string): Pairs | undefined {
    const { input = {} } = this;
    if (action === "kms:ReEncryptFrom") return input.SourceEncryptionContext as Pairs | undefined;
    if (action === "kms:ReEncryptTo") return input.DestinationEncryptionContext as Pairs | undefined;
    return input.EncryptionContext as Pairs | undefined;
  }

  #aliasesOf(key: KeyRow | undefined): string[] | undefined {
    if (key === undefined) return undefined;
    const { region, account, keyId } = key;
    const rows = this.store.listAliases(region, account, { keyId, limit: 1000 });
    if (rows instanceof Promise) throw new Error("aliases are needed at once to decide on a policy");
    return rows.map(({ name }) => name);
  }

  #denied(
    action: string,
    resource: string,
    account: string,
    reason: Reason = "no key policy statement allows",
  ) {
    const request = { principal: this.principal, action, resource, account };
    this.note("access", "there is no such key");
    return accessDenied(request, { allowed: false, reason });
  }

  #concerns(arn: string): void {
    if (this.resources.length < RESOURCES && !this.resources.includes(arn)) this.resources.push(arn);
  }
}

function grantingOf({ Operations, Constraints }: Members): AccessRequest["granting"] {
  return { operations: Operations as string[], constraints: (Constraints ?? null) as Grant["constraints"] };
}

/** What a decision is about besides its policies. */
interface Particulars {
  readonly key: KeyRow;
  readonly alias: string | undefined;
  readonly contexts: Terms["contexts"];
}

let latest = { reason: "", sid: "", text: "" };

/** The reason as the log has it. One text for all that are alike: the log need not read a new one each time. */
function explained({ reason, statement }: Decision): string {
  const { sid = "" } = statement ?? {};
  if (latest.reason !== reason || latest.sid !== sid)
    latest = { reason, sid, text: sid ? [reason, sid].join(": ") : reason };
  return latest.text;
}

/** What a caller of another account is shown of a key that only its ciphertext names. */
const CIPHERTEXTS_KEY = "the key associated with this ciphertext";

const nameOf = (reference: KeyReference, region: string) =>
  reference.type === "key"
    ? keyArn(region, reference.account, reference.keyId)
    : aliasArn(region, reference.account, reference.name);

/** Goes on at once where the store could answer at once. */
function then<T, R>(soon: Soon<T>, next: (value: T) => Soon<R>): Soon<R> {
  return soon instanceof Promise ? soon.then(next) : next(soon);
}
