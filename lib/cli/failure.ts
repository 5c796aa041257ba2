import { CliError, EXIT, type ExitCode } from "./exit.ts";

export interface Failure {
  exit: ExitCode;
  /** Lower case, without a full stop. */
  message: string;
  hint: string | undefined;
  /** The error's name, for `--json`. */
  name: string;
}

type Rule = readonly [exit: ExitCode, hint?: string];

const WRONG_CIPHERTEXT =
  "it is damaged, was not made by this service, or --context differs from the one it was encrypted with";

/** By the name of an error, or by its code where it has one. */
const RULES: Readonly<Record<string, Rule>> = {
  AccessDeniedException: [
    EXIT.accessDenied,
    "see why with keystead explain; let a policy allow it (keystead key policy, keystead iam), or choose another with --as",
  ],
  NotFoundException: [EXIT.notFound],
  AlreadyExistsException: [EXIT.failure, "choose another name or Region, or see keystead alias list"],
  CustomKeyStoreNotFoundException: [EXIT.notFound, "list them with keystead key-store list"],
  CustomKeyStoreInvalidStateException: [EXIT.wrongState, "see keystead key-store list"],
  CustomKeyStoreHasCMKsException: [EXIT.wrongState, "see keystead key list, then keystead key delete"],
  CloudHsmClusterNotFoundException: [EXIT.usage, "name its token in hsm.clusters of keystead.json"],
  CloudHsmClusterNotActiveException: [
    EXIT.tokenUnavailable,
    "check the module and the label in keystead.json",
  ],
  IncorrectTrustAnchorException: [EXIT.usage],
  DisabledException: [EXIT.wrongState, "enable it with keystead key enable"],
  KMSInvalidStateException: [EXIT.wrongState, "see keystead key describe"],
  KeyUnavailableException: [EXIT.tokenUnavailable, "see keystead doctor"],
  DependencyTimeoutException: [EXIT.tokenUnavailable, "see keystead doctor"],
  InvalidCiphertextException: [EXIT.notVerified, WRONG_CIPHERTEXT],
  IncorrectKeyException: [EXIT.notVerified, "leave out --key to use the one that the ciphertext names"],
  ValidationException: [EXIT.usage],
  TypeError: [EXIT.usage],
  InvalidAliasNameException: [EXIT.usage, "an alias name begins with alias/, but not with alias/aws/"],
  InvalidArnException: [EXIT.usage],
  InvalidGrantIdException: [EXIT.usage, "see keystead grant list"],
  InvalidGrantTokenException: [
    EXIT.usage,
    "give the token as keystead grant create printed it, or --key and --id",
  ],
  TagException: [EXIT.usage],
  MalformedPolicyDocumentException: [EXIT.usage],
  AuditError: [EXIT.storeOrAuditUnavailable, "see keystead doctor; nothing is done that cannot be recorded"],
  StoreUnavailable: [EXIT.storeOrAuditUnavailable],
  NOT_AUTHENTIC: [EXIT.notVerified, WRONG_CIPHERTEXT],
  MALFORMED: [
    EXIT.notVerified,
    "keystead decrypt reads what keystead encrypt or an AWS Encryption SDK wrote",
  ],
  TRUNCATED: [EXIT.notVerified, "fetch the whole file again"],
  UNSUPPORTED: [EXIT.notVerified],
  CONTEXT_MISMATCH: [EXIT.notVerified, "give --context as it was when encrypting"],
  NO_DATA_KEY: [EXIT.failure],
  CKR_PIN_INCORRECT: [
    EXIT.tokenUnavailable,
    "the PIN is wrong; it was tried once and is not tried again, for a token locks after a few: correct the PIN file",
  ],
  CKR_PIN_LOCKED: [EXIT.tokenUnavailable, "the PIN is locked: the token's security officer must set it anew"],
  CKR_TOKEN_NOT_PRESENT: [EXIT.tokenUnavailable, "see keystead doctor"],
  MODULE_NOT_FOUND: [
    EXIT.tokenUnavailable,
    "give the path of a PKCS#11 module, or install SoftHSM: apt-get install softhsm2",
  ],
  TOKEN_NOT_FOUND: [EXIT.tokenUnavailable, "give its label with --token, or see keystead doctor"],
};

/** By the code of a system error, where nothing else is known. */
const SYSTEM: Readonly<Record<string, string>> = {
  EACCES: "check the owner and the mode",
  EPERM: "check the owner and the mode",
  ENOENT: "check the path",
  EISDIR: "name a file in it",
  EADDRINUSE: "choose another port, or end what listens there",
  EADDRNOTAVAIL: "choose an address of this machine",
  ENOSPC: "make room on the disk",
};

/** An error that befell one of several things: says which. */
export class Located extends Error {
  override name = "Located";
  readonly place: string;
  readonly remark: string;

  constructor(place: string, remark: string, cause: unknown) {
    super(`${place}: ${cause instanceof Error ? cause.message : cause}${remark}`, { cause });
    this.place = place;
    this.remark = remark;
  }
}

interface Named {
  name?: string;
  code?: unknown;
  message?: string;
  cause?: unknown;
}

/** The error and its causes, outermost first. */
function chainOf(error: unknown): Named[] {
  const chain: Named[] = [];
  for (let each = error; typeof each === "object" && each !== null && chain.length < 8; ) {
    chain.push(each as Named);
    each = (each as Named).cause;
  }
  return chain;
}

/** What to say and how to exit. A cause that has a rule decides, for it is nearer to what is to be done. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CliError)
    return { exit: error.exit, message: error.message, hint: error.hint, name: error.name };
  if (error instanceof Located) {
    const failure = failureOf(error.cause);
    return { ...failure, message: `${error.place}: ${failure.message}${error.remark}` };
  }
  const chain = chainOf(error);
  const outer = chain[0] ?? { message: String(error) };
  let message = outer.message || nameless(outer.name);
  let rule: Rule | undefined;
  for (const each of chain) {
    const found = RULES[String(each.code)] ?? RULES[each.name ?? ""] ?? tokenRule(each);
    if (found === undefined) continue;
    rule = found;
    if (each !== outer && each.message) message = each.message;
  }
  const [exit, hint] = rule ?? [EXIT.failure, SYSTEM[String(outer.code)]];
  return { exit, message: plain(message), hint: hint ?? aliasHint(message), name: outer.name ?? "Error" };
}

/** Whatever a token or the engine says that no rule names. */
function tokenRule({ name }: Named): Rule | undefined {
  return name === "Pkcs11Error" || name === "EngineError"
    ? [EXIT.tokenUnavailable, "see keystead doctor"]
    : undefined;
}

function aliasHint(message: string): string | undefined {
  if (/alias/i.test(message) && /not found/.test(message)) return "list them with keystead alias list";
  if (/Invalid keyId/.test(message)) return "give a key id, a key ARN or alias/NAME";
  return /does not exist/.test(message) ? "list them with keystead key list" : undefined;
}

/** Some of AWS's errors come without a text. */
function nameless(name = "error"): string {
  return name
    .replace(/Exception$/, "")
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .toLowerCase();
}

/** As a command line speaks: lower case, no full stop. */
function plain(message: string): string {
  const text = message.trim().replace(/\.$/, "");
  return /^[A-Z][a-z ]/.test(text) ? (text[0] as string).toLowerCase() + text.slice(1) : text;
}
