/**
 * What the addon exports; the C++ behind it is `native/`. JavaScript validates and C++ obeys: nothing here
 * checks an argument twice. Every promise rejects with an `Error` whose name is `Pkcs11Error` and which has
 * the members `function` ("C_Login") and `code` ("CKR_PIN_INCORRECT"), or with an `EngineError` with `code`.
 */
export interface Addon {
  /** Loads the module (once per real path and process), finds the token by label or serial, logs in once. */
  openToken(options: TokenOptions): Promise<NativeToken>;
  /** C_InitToken on the first slot without a token, then C_InitPIN. Both PIN buffers are wiped. */
  initToken(options: {
    module: string;
    environment?: Record<string, string>;
    label: string;
    soPin: Uint8Array;
    pin: Uint8Array;
  }): Promise<void>;
  /** The initialised tokens that the module shows. */
  tokens(options: { module: string; environment?: Record<string, string> }): Promise<TokenDescription[]>;
  /** The threads of the engine that seal and open, and the AES-GCM implementation they use. */
  crew(): CrewInfo;
  /** Forces an AES-GCM implementation for the whole process; throws where the machine lacks it. */
  useGcm(name: "ipsec-mb" | "openssl"): void;
  sealFrames(job: FrameJob): Promise<void>;
  /** Resolves to true, or to false when any tag was wrong: `output` is then wiped. */
  openFrames(job: FrameJob): Promise<boolean>;
  /** Seals packed plaintexts, each as a message of its own under a key derived from the data key. */
  sealRecords(job: RecordJob): Promise<void>;
  /**
   * Opens packed messages; resolves to one byte a message: 1 when it is authentic, else 0 and its output wiped. A message
   * whose header is not the one of the job is not authentic.
   */
  openRecords(job: RecordJob): Promise<Uint8Array>;
  /**
   * Chains lines of the audit log behind those of their stream (docs/audit.md), writes them, and resolves once they are
   * on the disk. Rejects with `EngineError` under errno's name, JOURNAL_REPLACED when `path` names another file, or
   * JOURNAL_SIZE when the file holds more or less than was written: any part of the lines may be in it then. Commits
   * are made in the order of the calls; behind one that failed all reject with JOURNAL_FAILED.
   */
  appendJournal(commit: JournalCommit): Promise<JournalTail>;
  /**
   * Checks a signature with the engine's threads and Node's OpenSSL; needs no token. Resolves to false for whatever is not
   * the signature. Rejects with `EngineError` PUBLIC_KEY when the key is none of those that `Material` names (its form, its
   * size, its point), SIGNING_SCHEME when the scheme is not of its kind, DIGEST_SIZE, or MECHANISM_MISSING.
   */
  verify(job: VerifyJob): Promise<boolean>;
  /** Many signatures by one key: resolves to one byte for each, 1 when it is right. Rejects as `verify` does. */
  verifyBatch(job: VerifyBatchJob): Promise<Uint8Array>;
  /**
   * RSAES-OAEP with an empty label and MGF1 by the same hash. Rejects with `EngineError` PUBLIC_KEY, SIGNING_SCHEME when
   * it is no RSA key, or PLAINTEXT_SIZE. Copies the plaintext at once.
   */
  encrypt(job: EncryptJob): Promise<Uint8Array>;
  /** Ciphertexts by their heads (docs/ciphertext.md): of what is packed in `input`, at once. Throws where the sizes do not fit. */
  groupByHead(input: Uint8Array, lengths: Uint32Array): Heads;
  /** What Node's OpenSSL can. */
  software(): SoftwareInfo;
  /** An empty file for `appendJournal`, whose first line follows the line with this digest (64 hex digits). */
  openJournal(digest: string): NativeJournal;
}

/** What ciphertexts say they are under, each head once. */
export interface Heads {
  /** For each ciphertext the number of its head; those that are too short to be one share one. */
  heads: Uint32Array;
  /** For each head the first ciphertext that has it: where it begins, and its length. */
  firsts: Uint32Array;
}

/** A file of lines under way; the engine knows its end, so that commits need not wait for each other. */
export type NativeJournal = { readonly __nativeJournal: unique symbol };

export interface JournalCommit {
  journal: NativeJournal;
  /** Opened for appending; stays open until the promise settles. */
  descriptor: number;
  path: string;
  /** Number of the first of these lines. */
  sequence: number;
  /** JSON objects without their closing braces and without newlines, a newline between each two. */
  bodies: string;
}

export interface JournalTail {
  /** Of the last line. */
  digest: string;
  /** Bytes in the file. */
  size: number;
}

export interface VerifyJob {
  /** SPKI, DER. */
  publicKey: Uint8Array;
  signing: Signing;
  input: Uint8Array;
  signature: Uint8Array;
}

/** Inputs and signatures are packed one behind the other; copied at once. */
export interface VerifyBatchJob {
  publicKey: Uint8Array;
  signing: Signing;
  inputs: Uint8Array;
  inputLengths: Uint32Array;
  signatures: Uint8Array;
  signatureLengths: Uint32Array;
}

export interface EncryptJob {
  /** SPKI, DER. */
  publicKey: Uint8Array;
  hash: OaepHash;
  plaintext: Uint8Array;
}

export interface SoftwareInfo {
  /** With and without mu: from OpenSSL 3.5. */
  mlDsa: boolean;
  ed25519ph: boolean;
}

export interface CrewInfo {
  threads: number;
  gcm: "ipsec-mb" | "openssl";
  gcms: ("ipsec-mb" | "openssl")[];
}

export interface TokenOptions {
  module: string;
  /** Set in the process before C_Initialize, e.g. SOFTHSM2_CONF. */
  environment?: Record<string, string>;
  label?: string;
  serial?: string;
  /** Wiped by the engine once the login is over. */
  pin: Uint8Array;
  /** How many backing keys may have a handle at the same time. */
  handles: number;
  /** How many sessions may be open; 0 lets the token's limits and the self-test decide. */
  sessions: number;
}

export interface TokenDescription {
  label: string;
  manufacturer: string;
  model: string;
  serial: string;
}

export interface TokenInfo extends TokenDescription {
  library: string;
  cryptoki: string;
  /** Counts up each time the module had to be initialised again. */
  generation: number;
  lanes: { symmetric: number; asymmetric: number };
  mechanisms: { type: number; name: string; minKeySize: number; maxKeySize: number; flags: number }[];
  /** Names of the rows of the quirk table that apply. */
  quirks: string[];
  /** The mechanism that passed the known answer of RFC 5649, e.g. "CKM_AES_KEY_WRAP_PAD". */
  keyWrap: string;
  handles: { open: number; limit: number; hits: number; misses: number };
  available: boolean;
}

/** A backing key, or a key that lives on the token: usable, never readable. */
export type NativeKey = { readonly __nativeKey: unique symbol };

/** What a key is made of. */
export type Material =
  /** A generic secret: 32 bytes for sealing; 28, 32, 48 or 64 for HMAC. */
  | { type: "secret"; bytes: number }
  /** With the public exponent 65537. */
  | { type: "rsa"; bits: 2048 | 3072 | 4096 }
  | { type: "ec"; curve: "P-256" | "P-384" | "P-521" | "secp256k1" }
  | { type: "ed25519" }
  | { type: "ml-dsa"; parameterSet: 44 | 65 | 87 };

/**
 * How a signature is made. With a `hash`, what is signed is a digest by it, which is also MGF1's and as long as the salt
 * of PSS: the input, or, with `message`, what the engine makes of it. ECDSA's signatures are DER. Of the others `ed25519` and `ml-dsa` sign messages (with an empty context),
 * `ed25519ph` the SHA-512 of one (RFC 8032, section 5.1), `ml-dsa-mu` mu (64 bytes; FIPS 204, section 6.2).
 */
export type Signing =
  | { scheme: "rsa-pss" | "rsa-pkcs1" | "ecdsa"; hash: "SHA-256" | "SHA-384" | "SHA-512"; message?: true }
  | { scheme: "ed25519" | "ed25519ph" | "ml-dsa" | "ml-dsa-mu" };

/** A backing key as it is stored, and what it is bound to. */
export interface KeyBlob {
  domain: string;
  blob: Uint8Array;
  context: Uint8Array;
}

export interface ImportOrder {
  /** An RSA backing key, to whose public key the caller encrypted. */
  wrapping: KeyBlob;
  /**
   * `rsa-oaep`: the material by RSAES-OAEP. `rsa-aes-key-wrap`: an AES key by RSAES-OAEP, and behind it the material by AES
   * key wrap with padding under that. Secrets are their bytes, key pairs PKCS#8 (DER).
   */
  algorithm: { scheme: "rsa-oaep" | "rsa-aes-key-wrap"; hash: OaepHash };
  encrypted: Uint8Array;
  domain: string;
  /** Bound to the blob, with the id of the material, 64 hex digits, written to it at `materialIdAt`. */
  context: Uint8Array;
  materialIdAt: number;
  /** What the id depends on beside the material. */
  idContext: Uint8Array;
  /** What it has to be. */
  material: Material;
}

export interface ImportedKey {
  blob: Uint8Array;
  /**
   * Of a secret: HMAC-SHA-256(secret, "Keystead material id" || 00 || idContext); of a key pair:
   * SHA-256("Keystead material id" || 00 || idContext || SPKI).
   */
  materialId: string;
  publicKey?: Uint8Array;
}

/** The hash of RSAES-OAEP, which is MGF1's too; the label is empty. */
export type OaepHash = "SHA-1" | "SHA-256";

/** Inputs packed one behind the other: `counts[i]` of them are signed by `keys[i]` as `signings[i]` says. */
export interface SignJob {
  keys: NativeKey[];
  signings: Signing[];
  counts: Uint32Array;
  input: Uint8Array;
  /** One an input. */
  lengths: Uint32Array;
}

/** Signatures in the order of their inputs, packed. */
export interface Signatures {
  signatures: Uint8Array;
  lengths: Uint32Array;
}

export interface Mac {
  hash: "SHA-224" | "SHA-256" | "SHA-384" | "SHA-512";
  message: Uint8Array;
}

export interface NativeToken {
  info(): TokenInfo;
  /**
   * Finds the AES-256 domain key and its binding key (a generic secret for HMAC-SHA-256), both token objects
   * labelled `keystead domain NAME` and `keystead binding NAME`; makes them when `create` is set. Exactly one
   * of each must match, else it rejects. Resolves to whether they were made.
   */
  openDomain(name: string, create: boolean): Promise<boolean>;
  /**
   * Generates a key as a session object, wraps it under the domain key, destroys the session object, and resolves to the
   * key blob, which is everything that is stored of it, and the public key (SPKI, DER) of what has one. `context` is
   * bound to the blob. Rejects with `EngineError` MECHANISM_MISSING when the token cannot make it.
   */
  generateKey(options: {
    domain: string;
    context: Uint8Array;
    material: Material;
  }): Promise<{ blob: Uint8Array; publicKey?: Uint8Array }>;
  /**
   * Names a backing key for later use; does not touch the token. The handle is made on first use and kept in
   * an LRU cache; a blob whose binding does not match `context` makes that use reject with `EngineError`
   * BINDING_MISMATCH. `header` is the first 50 bytes of each ciphertext under the key (docs/ciphertext.md).
   */
  key(options: { domain: string; blob: Uint8Array; context: Uint8Array; header: Uint8Array }): NativeKey;
  /** Destroys the key's handle, if it has one; later use makes it anew. */
  forget(key: NativeKey): void;
  /** Seals packed plaintexts in the ciphertext format, one derived key a group. */
  seal(job: SealJob): Promise<void>;
  /** Fills `input` with random bytes, as `random` draws them, and seals those; wiped when the promise rejects. */
  sealRandom(job: Omit<SealJob, "wipeInput">): Promise<void>;
  /** Opens packed ciphertexts; resolves to one byte an item: 1 when it is authentic, else 0 and its output wiped. */
  open(job: OpenJob): Promise<Uint8Array>;
  /** Random bytes: the token's generator XOR the host's. */
  random(length: number): Promise<Uint8Array>;
  /**
   * Names a key that lives on the token, by its CKA_LABEL and CKA_ID; does not touch the token. Used like a backing key.
   * Uses reject with `EngineError` KEY_NOT_FOUND or KEY_AMBIGUOUS.
   */
  tokenKey(options: { id: string; header: Uint8Array }): NativeKey;
  /**
   * Makes one: a token object, private, sensitive, not extractable, not modifiable. Resolves to its public key (SPKI, DER), if it
   * has one. Rejects with `EngineError` KEY_EXISTS, or MECHANISM_MISSING when the token cannot make it.
   */
  createTokenKey(options: { id: string; material: Material }): Promise<{ publicKey?: Uint8Array }>;
  /** The public key of a pair that lives on the token, SPKI. Rejects with `EngineError` KEY_NOT_FOUND. */
  tokenPublicKey(id: string): Promise<Uint8Array>;
  /** Destroys one, both halves of a pair; resolves to whether there was any. */
  destroyTokenKey(id: string): Promise<boolean>;
  /** Rejects with `EngineError` MECHANISM_MISSING when neither the token nor the engine can sign so. */
  signWith(key: NativeKey, signing: Signing, input: Uint8Array): Promise<Uint8Array>;
  /**
   * Signs packed inputs on all sessions for it. Rejects as `signWith` does when any cannot be signed, and with `EngineError`
   * BATCH_LAYOUT when sizes do not fit.
   */
  signBatch(job: SignJob): Promise<Signatures>;
  /** HMAC, as long as the hash. */
  mac(key: NativeKey, mac: Mac): Promise<Uint8Array>;
  /** RSAES-OAEP; resolves to undefined when it does not decrypt, whatever the reason. */
  decrypt(
    key: NativeKey,
    options: { hash: OaepHash; ciphertext: Uint8Array },
  ): Promise<Uint8Array | undefined>;
  /**
   * ECDH with another's public key (SPKI, DER): the x coordinate. Rejects with `EngineError` PUBLIC_KEY unless that is a
   * point of the key's own curve.
   */
  deriveSecret(key: NativeKey, publicKey: Uint8Array): Promise<Uint8Array>;
  /** A data key pair: RSA, EC or Ed25519, made in the token, handed out as PKCS#8 and SPKI (DER); nothing of it stays. */
  generateKeyPair(material: Material): Promise<{ privateKey: Uint8Array; publicKey: Uint8Array }>;
  /** The same material wrapped by another domain key of the token and bound to another context. */
  rewrapKey(options: KeyBlob & { to: { domain: string; context: Uint8Array } }): Promise<Uint8Array>;
  /**
   * Makes a backing key of material that a caller encrypted. Rejects with `EngineError` IMPORT_CIPHERTEXT when it does not
   * decrypt, IMPORT_MATERIAL when it is of another type, size or curve, or damaged.
   */
  importKey(order: ImportOrder): Promise<ImportedKey>;
  /** Destroys all handles, drains and closes the sessions and lets go of the module. */
  close(): Promise<void>;
}

/**
 * Items are packed one behind the other in `input`; `lengths[i]` is the size of item i. `contexts` are
 * canonical encryption contexts, packed likewise: one for all items when `contextLengths` has one entry,
 * else one an item. The buffers belong to the engine until the promise settles.
 */
interface BatchJob {
  keys: NativeKey[];
  input: Uint8Array;
  lengths: Uint32Array;
  contexts: Uint8Array;
  contextLengths: Uint32Array;
  output: Uint8Array;
}

export interface SealJob extends BatchJob {
  /** How many consecutive items go under each key of `keys`. */
  counts: Uint32Array;
  /** Wipe `input` when done (it is a private copy of plaintext). */
  wipeInput: boolean;
  // `output` holds the ciphertexts packed: item i takes lengths[i] + 86 bytes.
}

export interface OpenJob extends BatchJob {
  /** For each item the index in `keys`, or 0xffffffff for an item to be left out. */
  groups: Uint32Array;
  // `output` holds the plaintexts packed: item i takes max(0, lengths[i] - 86) bytes, also when it fails.
}

/**
 * A run of consecutive frames of an AWS Encryption SDK message, format version 2 (framed body, "Message Body" of its
 * specification). `input` and `output` are the run exactly; plaintext packed on one side, sealed frames on the other.
 * A sealed frame is [sequence number (4), IV (12), ciphertext, tag (16)], 32 bytes more than its plaintext; the final
 * one has ffffffff in front of its sequence number and its length (4) behind the IV: 40 bytes more.
 *
 * All frames have `frameLength` bytes of plaintext, save the final one, which may have from 0 up to as many. So the
 * sizes follow from each other, P being that of the plaintext and S that of the sealed frames:
 *   without the final frame  n = P / frameLength,  S = P + 32 n;
 *   with it                  n = max(1, ceil(P / frameLength)),  S = P + 32 n + 8;
 *   opening with it          n = floor((S - 40) / (frameLength + 32)) regular frames before it, the final one having
 *                            r = (S - 40) mod (frameLength + 32) bytes (at most frameLength), P = n * frameLength + r.
 * Sizes that do not fit reject with `EngineError` FRAME_LAYOUT. A sequence number or length in the data that is not
 * the one its place demands makes openFrames resolve to false, like a wrong tag; the IV is taken as it is.
 *
 * The engine copies `key` and `messageId` at once; `input` and `output` belong to it until the promise settles.
 */
export interface FrameJob {
  /** 32 bytes, AES-256: the derived data key. */
  key: Uint8Array;
  /** 32 bytes. */
  messageId: Uint8Array;
  /** Bytes of plaintext a frame, from 1. */
  frameLength: number;
  /** Sequence number of the first frame of this run; the first of a message is 1. */
  firstSequence: number;
  /** Whether the last frame of this run is the final frame of the message. */
  final: boolean;
  input: Uint8Array;
  output: Uint8Array;
}

/**
 * Messages of version 2, suite 0x0478, framed, under one data key. `headerTail` is what their headers share behind the
 * message id: context, encrypted data keys, content type, frame length. A message of n bytes of plaintext is 35 +
 * headerTail + 48 bytes longer than its frames (see FrameJob). Sizes that do not fit reject with `EngineError`
 * RECORD_LAYOUT. The engine copies all but `input` and `output` at once; these belong to it until the promise settles.
 */
export interface RecordJob {
  /** 32 bytes. */
  dataKey: Uint8Array;
  headerTail: Uint8Array;
  frameLength: number;
  input: Uint8Array;
  /** Of what goes in, one a record. */
  lengths: Uint32Array;
  output: Uint8Array;
}
