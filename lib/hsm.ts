import type {
  CrewInfo,
  EncryptJob,
  FrameJob,
  Heads,
  ImportedKey,
  ImportOrder,
  JournalCommit,
  JournalTail,
  KeyBlob,
  Mac,
  Material,
  NativeJournal,
  NativeKey,
  NativeToken,
  OaepHash,
  OpenJob,
  RecordJob,
  SealJob,
  Signatures,
  Signing,
  SignJob,
  TokenDescription,
  TokenInfo,
  VerifyBatchJob,
  VerifyJob,
} from "./hsm/addon.ts";
import { Gather } from "./hsm/gather.ts";
import { addon } from "./hsm/load.ts";
import { type PinSource, readPin } from "./hsm/pin.ts";

export type {
  CrewInfo,
  FrameJob,
  ImportedKey,
  ImportOrder,
  KeyBlob,
  Mac,
  Material,
  NativeKey,
  OaepHash,
  OpenJob,
  RecordJob,
  SealJob,
  Signatures,
  Signing,
  SignJob,
  TokenInfo,
} from "./hsm/addon.ts";
export type { PinSource } from "./hsm/pin.ts";
export { findSoftHsm, provisionSoftHsm, type SoftHsmToken, syncSoftHsm } from "./hsm/softhsm.ts";

/** Bytes of the head of a ciphertext, which a key that only signs leaves empty (docs/ciphertext.md). */
const HEAD = 50;
/** What a ciphertext is longer than its plaintext (docs/ciphertext.md). */
export const CIPHERTEXT_OVERHEAD = 86;

/** A crossing spreads over lanes, and costs the HSM a call that the items share: rather few of them, then. */
const LANES_OF_A_CROSSING = 4;
/** One in the HSM, one ready behind it, one whose answer the main thread has yet to see. */
const LEAST_CROSSINGS = 3;

export interface HsmOptions {
  /** Path of the PKCS#11 module. */
  module: string;
  /** Set in the process before the module is initialised, e.g. `{ SOFTHSM2_CONF }`. */
  environment?: Record<string, string>;
  /** Label of the token. */
  token?: string;
  pin: PinSource;
  /** How many backing keys may have a handle in the token at the same time; 10,000 unless told. */
  handles?: number;
  /** How many sessions may be open; 64 at most, as the token's limits and a self-test decide, unless told. */
  sessions?: number;
}

/** Signs digests with a key pair that stays on the token. */
export interface Signer {
  /** SubjectPublicKeyInfo, DER. */
  publicKey: Uint8Array;
  /** ECDSA P-256 over a SHA-256 digest; the signature is DER. */
  sign(digest: Uint8Array): Promise<Uint8Array>;
}

interface Item<Result> {
  key: NativeKey;
  input: Uint8Array;
  context: Uint8Array;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/** A token that is logged in. Errors are `Pkcs11Error` and `EngineError`, as `hsm/addon.ts` says. */
export class Hsm {
  readonly #token: NativeToken;
  readonly #seals: Gather<Item<Uint8Array>>;
  readonly #draws: Gather<Item<Uint8Array>>;
  readonly #opens: Gather<Item<Uint8Array | undefined>>;

  private constructor(token: NativeToken) {
    this.#token = token;
    const crossings = Math.max(
      LEAST_CROSSINGS,
      Math.floor(token.info().lanes.symmetric / LANES_OF_A_CROSSING),
    );
    this.#seals = new Gather((items) => this.#cross(items, this.#sealItems), crossings);
    this.#draws = new Gather((items) => this.#cross(items, this.#drawItems), crossings);
    this.#opens = new Gather((items) => this.#cross(items, this.#openItems), crossings);
  }

  static async open(options: HsmOptions): Promise<Hsm> {
    const { module, environment, token: label, handles = 10_000, sessions = 0 } = options;
    const pin = await readPin(options.pin);
    return new Hsm(await addon().openToken({ module, environment, label, pin, handles, sessions }));
  }

  info(): TokenInfo {
    return this.#token.info();
  }

  /** Finds, or with `create` makes, the domain key that wraps the backing keys of a Region. */
  openDomain(region: string, create: boolean): Promise<boolean> {
    return this.#token.openDomain(region, create);
  }

  /** A new backing key: its blob, wrapped by the domain key and bound to `context`, and its public key (SPKI). */
  generateKey(options: {
    domain: string;
    context: Uint8Array;
    material: Material;
  }): Promise<{ blob: Uint8Array; publicKey?: Uint8Array }> {
    return this.#token.generateKey(options);
  }

  key(options: { domain: string; blob: Uint8Array; context: Uint8Array; header: Uint8Array }): NativeKey {
    return this.#token.key(options);
  }

  forget(key: NativeKey): void {
    this.#token.forget(key);
  }

  /** Seals one plaintext, which must stay as it is until the promise settles. */
  seal(key: NativeKey, input: Uint8Array, context: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => this.#seals.add({ key, input, context, resolve, reject }));
  }

  /** Fills `input` with random bytes, as `random` draws them, and seals it. */
  sealRandom(key: NativeKey, input: Uint8Array, context: Uint8Array): Promise<Uint8Array> {
    return new Promise((resolve, reject) => this.#draws.add({ key, input, context, resolve, reject }));
  }

  /** Opens one ciphertext; resolves to undefined when it is not authentic. */
  open(key: NativeKey, input: Uint8Array, context: Uint8Array): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => this.#opens.add({ key, input, context, resolve, reject }));
  }

  sealBatch(job: SealJob): Promise<void> {
    return this.#token.seal(job);
  }

  openBatch(job: OpenJob): Promise<Uint8Array> {
    return this.#token.open(job);
  }

  /** The token's random bytes XOR the host's. */
  random(length: number): Promise<Uint8Array> {
    return this.#token.random(length);
  }

  sign(key: NativeKey, signing: Signing, input: Uint8Array): Promise<Uint8Array> {
    return this.#token.signWith(key, signing, input);
  }

  /** Signs packed inputs on all sessions for it; when any cannot be signed, none is answered. */
  signBatch(job: SignJob): Promise<Signatures> {
    return this.#token.signBatch(job);
  }

  mac(key: NativeKey, mac: Mac): Promise<Uint8Array> {
    return this.#token.mac(key, mac);
  }

  /** RSAES-OAEP with MGF1 by the same hash and an empty label; resolves to undefined when it does not decrypt. */
  decrypt(
    key: NativeKey,
    options: { hash: OaepHash; ciphertext: Uint8Array },
  ): Promise<Uint8Array | undefined> {
    return this.#token.decrypt(key, options);
  }

  /** ECDH with another's public key (SPKI) of the same curve: the x coordinate. */
  deriveSecret(key: NativeKey, publicKey: Uint8Array): Promise<Uint8Array> {
    return this.#token.deriveSecret(key, publicKey);
  }

  /** A data key pair, PKCS#8 and SPKI: made in the token, handed out, nothing of it stays. */
  generateKeyPair(material: Material): Promise<{ privateKey: Uint8Array; publicKey: Uint8Array }> {
    return this.#token.generateKeyPair(material);
  }

  /** The same material, wrapped by the domain key of another Region and bound to another context. */
  rewrapKey(options: KeyBlob & { to: { domain: string; context: Uint8Array } }): Promise<Uint8Array> {
    return this.#token.rewrapKey(options);
  }

  /** Makes a backing key of material that a caller encrypted under `wrapping`. */
  importKey(order: ImportOrder): Promise<ImportedKey> {
    return this.#token.importKey(order);
  }

  /** Names a key that lives on the token, where `createTokenKey` made it. */
  tokenKey(options: { id: string; header: Uint8Array }): NativeKey {
    return this.#token.tokenKey(options);
  }

  createTokenKey(options: { id: string; material: Material }): Promise<{ publicKey?: Uint8Array }> {
    return this.#token.createTokenKey(options);
  }

  /** Resolves to whether there was one. */
  destroyTokenKey(id: string): Promise<boolean> {
    return this.#token.destroyTokenKey(id);
  }

  /** The signer whose key pair lives on the token under this label; with `create` it is made when it is missing. */
  async signer(label: string, create: boolean): Promise<Signer> {
    if (create) {
      const material: Material = { type: "ec", curve: "P-256" };
      await this.#token.createTokenKey({ id: label, material }).catch((error) => {
        if (error.code !== "KEY_EXISTS") throw error;
      });
    }
    const publicKey = await this.#token.tokenPublicKey(label);
    const key = this.#token.tokenKey({ id: label, header: new Uint8Array(HEAD) });
    return { publicKey, sign: (digest) => this.sign(key, { scheme: "ecdsa", hash: "SHA-256" }, digest) };
  }

  close(): Promise<void> {
    return this.#token.close();
  }

  /** One crossing for all items; when it fails, one for each key, so that no key's fault is another's. */
  async #cross<Result>(
    items: Item<Result>[],
    run: (groups: Item<Result>[][]) => Promise<void>,
  ): Promise<void> {
    const groups = byKey(items);
    try {
      await run(groups);
    } catch (error) {
      const alone = (group: Item<Result>[]) => (groups.length === 1 ? Promise.reject(error) : run([group]));
      for (const group of groups) {
        await alone(group).catch((reason) => {
          for (const item of group) item.reject(reason);
        });
      }
    }
  }

  readonly #sealItems = async (groups: Item<Uint8Array>[][]): Promise<void> => {
    const items = together(groups);
    const job = { ...pack(groups, items, CIPHERTEXT_OVERHEAD), counts: countsOf(groups), wipeInput: true };
    await this.#token.seal(job);
    resolveSealed(items, job.output);
  };

  readonly #drawItems = async (groups: Item<Uint8Array>[][]): Promise<void> => {
    const items = together(groups);
    const job = { ...pack(groups, items, CIPHERTEXT_OVERHEAD), counts: countsOf(groups) };
    await this.#token.sealRandom(job);
    let at = 0;
    for (const { input } of items) {
      input.set(job.input.subarray(at, at + input.length));
      at += input.length;
    }
    job.input.fill(0);
    resolveSealed(items, job.output);
  };

  readonly #openItems = async (groups: Item<Uint8Array | undefined>[][]): Promise<void> => {
    const items = together(groups);
    const job = pack(groups, items, -CIPHERTEXT_OVERHEAD);
    const members = Uint32Array.from(groups.flatMap((group, index) => group.map(() => index)));
    const authentic = await this.#token.open({ ...job, groups: members });
    let at = 0;
    items.forEach((item, index) => {
      const end = at + Math.max(0, item.input.length - CIPHERTEXT_OVERHEAD);
      item.resolve(authentic[index] ? job.output.slice(at, end) : undefined);
      at = end;
    });
    job.output.fill(0);
  };
}

/** Most crossings are about one key: then there is nothing to sort (which takes 0.2 µs an item). */
function byKey<Result>(items: Item<Result>[]): Item<Result>[][] {
  const only = items[0]?.key;
  if (items.every((item) => item.key === only)) return [items];
  const groups = new Map<NativeKey, Item<Result>[]>();
  for (const item of items) {
    const group = groups.get(item.key);
    if (group) group.push(item);
    else groups.set(item.key, [item]);
  }
  return [...groups.values()];
}

/** The items of all groups, one group behind the other. */
const together = <Result>(groups: Item<Result>[][]): Item<Result>[] =>
  groups.length === 1 ? (groups[0] as Item<Result>[]) : groups.flat();

/** How many items there are of each group. */
function countsOf<Result>(groups: Item<Result>[][]): Uint32Array {
  const counts = new Uint32Array(groups.length);
  for (let group = 0; group < groups.length; group++) counts[group] = groups[group]?.length as number;
  return counts;
}

function resolveSealed(items: Item<Uint8Array>[], output: Uint8Array): void {
  let at = 0;
  for (const { input, resolve } of items) {
    const end = at + input.length + CIPHERTEXT_OVERHEAD;
    resolve(output.subarray(at, end));
    at = end;
  }
}

/**
 * Ciphertexts are handed out as views of the output; plaintexts are cut out as memory of their own, so that no
 * caller finds another's behind his view.
 */
function pack<Result>(groups: Item<Result>[][], items: Item<Result>[], overhead: number) {
  const lengths = new Uint32Array(items.length);
  const contextLengths = new Uint32Array(items.length);
  let inputSize = 0;
  let contextSize = 0;
  let outputSize = 0;
  for (let index = 0; index < items.length; index++) {
    const { input, context } = items[index] as Item<Result>;
    lengths[index] = input.length;
    contextLengths[index] = context.length;
    inputSize += input.length;
    contextSize += context.length;
    outputSize += Math.max(0, input.length + overhead);
  }
  const input = new Uint8Array(inputSize);
  const contexts = new Uint8Array(contextSize);
  let at = 0;
  let contextAt = 0;
  for (const item of items) {
    input.set(item.input, at);
    contexts.set(item.context, contextAt);
    at += item.input.length;
    contextAt += item.context.length;
  }
  const keys = groups.map((group) => (group[0] as Item<Result>).key);
  return { keys, input, lengths, contexts, contextLengths, output: new Uint8Array(outputSize) };
}

/** Frames of an AWS Encryption SDK message, sealed and opened by the engine's threads. */
export const frames = {
  seal: (job: FrameJob): Promise<void> => addon().sealFrames(job),
  open: (job: FrameJob): Promise<boolean> => addon().openFrames(job),
};

/** Small messages of the AWS Encryption SDK, many at once. */
export const records = {
  seal: (job: RecordJob): Promise<void> => addon().sealRecords(job),
  open: (job: RecordJob): Promise<Uint8Array> => addon().openRecords(job),
};

/** The initialised tokens that a module shows; nobody logs in. */
export const tokens = (at: Pick<HsmOptions, "module" | "environment">): Promise<TokenDescription[]> =>
  addon().tokens(at);

/** What needs no secret: on threads of the engine, without a token. */
export const publicKeys = {
  verify: (job: VerifyJob): Promise<boolean> => addon().verify(job),
  /** One byte a signature: 1 when it is right. */
  verifyBatch: (job: VerifyBatchJob): Promise<Uint8Array> => addon().verifyBatch(job),
  encrypt: (job: EncryptJob): Promise<Uint8Array> => addon().encrypt(job),
};

/** Appends to files of the audit log, on a thread of the engine's. */
export const journal = {
  open: (digest: string): NativeJournal => addon().openJournal(digest),
  append: (commit: JournalCommit): Promise<JournalTail> => addon().appendJournal(commit),
};

/** Which of many packed ciphertexts are under the same material: 10,000 in 30 µs. */
export const groupByHead = (input: Uint8Array, lengths: Uint32Array): Heads =>
  addon().groupByHead(input, lengths);

/** The engine's threads, and which AES-GCM they seal with. */
export const crew = (): CrewInfo => addon().crew();
