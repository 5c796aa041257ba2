import {
  accessDenied,
  compilePolicy,
  contextAskedBy,
  decide,
  granteesOf,
  lockoutCheck,
  type Principal,
  type Reason,
} from "../access.ts";
import { algorithmOf, type KeySpec } from "../algorithms.ts";
import { isService, type KeyReference, referenceNotFound } from "../arn.ts";
import { readHead } from "../ciphertext.ts";
import {
  grantNotFound,
  InvalidCiphertextException,
  incorrectKey,
  invalidUsage,
  MalformedPolicyDocumentException,
} from "../errors.ts";
import type { Hsm } from "../hsm.ts";
import { lookUp, type Standing } from "../identities.ts";
import { held, type KeyStores } from "../key-stores.ts";
import { arnOf, type KeyQuota, type KeyRing, type KeyUses } from "../keys.ts";
import type { Markers } from "../marker.ts";
import {
  type About,
  checkState,
  type Rehearsal,
  type Rehearsed,
  type Request,
  type SealedUnder,
  type Admission as Terms,
} from "../operation.ts";
import type { Actor, Service } from "../request.ts";
import type { Secrets } from "../secrets.ts";
import type { GrantRow, KeyRow, Soon, Store } from "../store.ts";
import { Finder } from "./finder.ts";
import { Question } from "./question.ts";
import { indexOf, readyFor } from "./ready.ts";
import { explained } from "./reason.ts";
import { andThen } from "./soon.ts";

/** The actions that `kms:TrailingDaysWithoutKeyUsage` is for. */
const askedForUse: ReadonlySet<string> = new Set(["kms:DisableKey", "kms:ScheduleKeyDeletion"]);

/** How many keys and aliases an event names; a batch may be about more, and then says how many. */
const RESOURCES = 100;

type Members = Readonly<Record<string, unknown>>;
type Pairs = Readonly<Record<string, string>>;

/** One request on its way: lets it at keys, and gathers what its audit event will say. */
export class Admission implements Request {
  readonly id: string;
  readonly principal: Principal;
  readonly region: string;
  readonly regions: ReadonlySet<string>;
  readonly account: string;
  readonly governor: string;
  readonly now: number;
  readonly store: Store;
  readonly hsm: Hsm;
  readonly keys: KeyRing;
  readonly keyStores: KeyStores;
  readonly quota: KeyQuota;
  readonly markers: Markers;
  readonly uses: KeyUses;
  readonly secrets: Secrets;
  /** The input, once it is known to be valid. */
  input: Members | undefined;
  /** ARNs. */
  readonly resources: string[] = [];
  /** The keys that it was let at. */
  readonly admitted: KeyRow[] = [];
  notes: Record<string, string | number> | undefined;
  foreseen = false;
  /** Whose trail this is to be in, where it is not the caller's account alone. */
  accounts: Set<string> | undefined;
  /** Whether it is about a key of the caller's account. */
  #own = false;
  /** Told of each decision, where somebody wants to know. */
  witness: ((question: Question) => void) | undefined;
  readonly #further: Further;
  readonly #service: Service;
  readonly #actor: Actor;
  /** What the caller may by itself, once that is known. */
  #standing: Standing | undefined;
  /** Of an operation that is about two. */
  #firstKeyId: string | undefined;
  readonly #finder: Finder;

  constructor(service: Service, actor: Actor, id: string, further: Further) {
    const { region } = actor;
    const { principal } = actor.identity;
    this.id = id;
    this.principal = principal;
    this.region = region;
    this.regions = service.regions;
    this.account = principal.account === "" ? service.account : principal.account;
    this.governor = service.account;
    this.now = service.clock();
    this.store = service.store;
    this.hsm = service.hsm;
    this.keys = service.keys;
    this.keyStores = service.keyStores;
    this.quota = service.quota;
    this.markers = service.markers;
    this.uses = service.uses;
    this.secrets = service.secrets;
    this.#service = service;
    this.#actor = actor;
    this.#further = further;
    this.#finder = new Finder(this, further.makeServiceKey);
  }

  /** Finds out what the caller may by itself: to be done before anything is decided. */
  identify(): Soon<void> {
    return andThen(this.#actor.identity.standing(), (standing) => {
      this.#standing = standing;
    });
  }

  admit(text: string, terms: Terms): Soon<KeyRow> {
    const reference = this.#finder.read(text, terms.aliases);
    return andThen(this.#finder.find(reference), (key) => {
      if (key !== undefined) return this.#allow(key, terms, reference);
      // Another account's caller cannot tell a key that is not there from one that is closed to it.
      if (reference.account !== this.account)
        throw this.#denied(terms.action, this.#finder.nameOf(reference), reference.account);
      throw referenceNotFound(reference, this.region);
    });
  }

  admitRelated(key: KeyRow, terms: Terms): Soon<KeyRow> {
    const { account, keyId } = key;
    return this.#allow(key, terms, { type: "key", account, keyId });
  }

  findOwn(text: string): Soon<KeyRow> {
    const reference = this.#finder.read(text, false);
    return andThen(this.#finder.find(reference), (key) => {
      if (key === undefined || key.account !== this.account) throw referenceNotFound(reference, this.region);
      return key;
    });
  }

  admitCiphertext(ciphertext: Uint8Array, text: string | undefined, terms: Terms): Soon<SealedUnder> {
    const head = readHead(ciphertext);
    if (text !== undefined)
      return andThen(this.admit(text, terms), (key) => {
        // What an RSA key encrypts says nothing of its key.
        if (algorithmOf(key.keySpec as KeySpec).material.type === "rsa")
          return { key, materialId: key.materialId as string };
        if (head === undefined) throw new InvalidCiphertextException();
        if (head.keyId === key.keyId) return { key, materialId: head.materialId };
        return andThen(this.store.key(this.region, head.keyId), (other) => {
          throw other === undefined ? new InvalidCiphertextException() : incorrectKey();
        });
      });
    if (head === undefined) throw new InvalidCiphertextException();
    return andThen(this.store.key(this.region, head.keyId), (key) => {
      if (key !== undefined)
        return andThen(this.#allow(key, terms, undefined), (key) => ({ key, materialId: head.materialId }));
      if (this.account === this.#service.account) throw new InvalidCiphertextException();
      throw this.#denied(terms.action, CIPHERTEXTS_KEY, this.#service.account);
    });
  }

  async admitRetirement(text: string, grantId: string): Promise<GrantRow> {
    const reference = this.#finder.read(text, false);
    const action = "kms:RetireGrant";
    const key = await this.#finder.find(reference);
    const grant = key && (await this.store.row("grant", this.region, key.keyId, grantId));
    if (key === undefined || grant === undefined) {
      if (reference.account !== this.account)
        throw this.#denied(action, this.#finder.nameOf(reference), reference.account, "no part in the grant");
      throw key === undefined ? referenceNotFound(reference, this.region) : grantNotFound(grantId);
    }
    const { arn, policy: keyPolicy } = readyFor(key);
    this.#involves(key, arn);
    const question = this.#question(action, arn, key.account);
    question.keyPolicy = keyPolicy;
    question.retiring = grant;
    question.encryptionContext = contextAskedBy(grant.constraints);
    question.key = key;
    question.aliases = () => this.#aliasesOf(key);
    this.#decide(question, arn);
    return grant;
  }

  async checkPolicy(
    key: KeyRow,
    policy: string,
    bypassLockout: boolean,
  ): Promise<KeyRow["policyPrincipals"]> {
    const keyPolicy = compilePolicy(policy);
    const { missing, ids } = await lookUp(this.store, keyPolicy.principals);
    if (missing !== undefined)
      throw new MalformedPolicyDocumentException(
        "Policy contains a statement with one or more invalid principals.",
      );
    if (bypassLockout) return ids;
    const { principal, policies: identityPolicies, layers } = this.#known;
    const { account } = key;
    const resource = arnOf(key);
    // As things are now: from the same address, for instance.
    const question = this.#question("kms:PutKeyPolicy", resource, account);
    question.key = key;
    question.aliases = () => this.#aliasesOf(key);
    const context = (name: string) => question.context(name);
    lockoutCheck({ principal, resource, account, keyPolicy, identityPolicies, layers, context });
    return ids;
  }

  authorise(action: string, resource: string, { key, account = this.account, trust }: About = {}): void {
    if (resource !== "*") this.#concerns(resource);
    const question = this.#question(action, resource, account);
    question.key = key;
    question.keyPolicy = trust;
    // What governs accounts is above them, as AWS's management account is.
    if (action.startsWith("organizations:"))
      question.layers = question.layers.filter(({ kind }) => kind !== "service control policy");
    this.#decide(question, resource);
  }

  rehearse(rehearsal: Rehearsal): Promise<Rehearsed> {
    return this.#further.rehearse(this.#service, rehearsal);
  }

  note(name: string, value: string | number): void {
    this.notes ??= {};
    this.notes[name] = value;
  }

  /** `reference` is what the caller called the key by, unless it was by a ciphertext. */
  #allow(key: KeyRow, terms: Terms, reference: KeyReference | undefined): Soon<KeyRow> {
    return andThen(this.store.grants(key.region, key.keyId, granteesOf(this.#known.principal)), (grants) => {
      const { arn, policy: keyPolicy } = readyFor(key);
      this.#involves(key, arn);
      let shown = arn;
      if (key.account !== this.account)
        shown = reference === undefined ? CIPHERTEXTS_KEY : this.#finder.nameOf(reference);
      const question = this.#question(terms.action, arn, key.account);
      question.keyPolicy = keyPolicy;
      question.grants = indexOf(grants);
      question.key = key;
      question.alias = reference?.type === "alias" ? reference.name : undefined;
      question.aliases = () => this.#aliasesOf(key);
      if (!askedForUse.has(terms.action)) return this.#decideOn(question, key, terms, shown);
      return this.uses.last(key.region, key.keyId).then((use) => {
        question.lastUse = use?.usedAt ?? key.createdAt;
        return this.#decideOn(question, key, terms, shown);
      });
    });
  }

  #decideOn(question: Question, key: KeyRow, terms: Terms, shown: string): Soon<KeyRow> {
    this.#decideEach(question, terms.contexts?.(), shown);
    this.#firstKeyId ??= key.keyId;
    return andThen(this.#asHeld(key, terms.action), (key) => {
      checkState(terms.states, key.keyState, question.resource);
      if (terms.usage !== undefined && terms.usage !== key.keyUsage)
        throw invalidUsage(question.resource, key.keyUsage, terms.action.slice("kms:".length));
      this.admitted.push(key);
      return key;
    });
  }

  /** A key as this request meets it: that of a custom key store with its store. */
  #asHeld(key: KeyRow, action: string): Soon<KeyRow> {
    const { customKeyStoreId, region } = key;
    if (customKeyStoreId === null) return key;
    return andThen(this.store.row("customKeyStore", region, customKeyStoreId), (store) => {
      if (store === undefined) throw new Error(`${customKeyStoreId}, which has key ${key.keyId}, is missing`);
      const operation = action.replace(/^kms:/, "").replace(/^ReEncrypt.*/, "ReEncrypt");
      return held(key, store, { principal: this.principal.arn, operation, requestId: this.id });
    });
  }

  #question(action: string, resource: string, account: string): Question {
    const { now, input = {} } = this;
    const question = new Question(this.#actor, this.#known, now, input, action, resource, account);
    question.firstKeyId = this.#firstKeyId;
    return question;
  }

  get #known(): Standing {
    if (this.#standing === undefined) throw new Error("the caller is not identified yet");
    return this.#standing;
  }

  /** One decision for all encryption contexts of a batch, unless it depends on them: then one for each. */
  #decideEach(question: Question, contexts: Iterable<Pairs | undefined> | undefined, shown: string): void {
    if (contexts === undefined) {
      this.#decide(question, shown);
      return;
    }
    for (const context of contexts) {
      question.encryptionContext = context;
      this.#decide(question, shown);
      if (!question.contextual) return;
    }
  }

  /** Throws unless the caller may. */
  #decide(question: Question, shown: string): void {
    const decision = decide(question);
    this.witness?.(question);
    this.note("access", explained(decision));
    if (decision.allowed) return;
    const { principal, action } = question;
    throw accessDenied({ principal, action, resource: shown, account: question.account }, decision);
  }

  #aliasesOf({ region, account, keyId }: KeyRow): string[] {
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

  /** Another account's key makes this an event of that account too; what a service owns, of the service alone. */
  #involves({ account }: KeyRow, arn: string): void {
    const owned = account !== this.account && isService(account);
    if (owned && account !== this.principal.arn) return;
    this.#concerns(arn);
    if (account === this.account) {
      this.#own = true;
      this.accounts?.add(account);
      return;
    }
    this.accounts ??= new Set(this.#own ? [this.account] : []);
    if (!owned) this.accounts.add(this.account);
    this.accounts.add(account);
  }

  #concerns(arn: string): void {
    if (this.resources.length < RESOURCES && !this.resources.includes(arn)) this.resources.push(arn);
  }
}

/** Requests that a request makes in its turn. */
export interface Further {
  /** Makes what an alias of a service's own is to name. Joins whoever is at it. */
  makeServiceKey(account: string, alias: string): Promise<unknown>;
  rehearse(service: Service, rehearsal: Rehearsal): Promise<Rehearsed>;
}

/** What a caller of another account is shown of a key that only its ciphertext names. */
const CIPHERTEXTS_KEY = "the key associated with this ciphertext";
