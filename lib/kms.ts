import { compilePolicy, type Principal, parsePrincipal } from "./access.ts";
import { rootArn, servicePrincipal } from "./arn.ts";
import type {
  DecryptBatchInput,
  DecryptBatchOutput,
  DecryptPackedInput,
  DecryptPackedOutput,
  EncryptBatchInput,
  EncryptBatchOutput,
  EncryptPackedInput,
  EncryptPackedOutput,
  SignBatchInput,
  SignBatchOutput,
  SignPackedInput,
  SignPackedOutput,
  VerifyBatchInput,
  VerifyBatchOutput,
  VerifyPackedInput,
  VerifyPackedOutput,
} from "./batch.ts";
import { checkAccount } from "./config.ts";
import { Envelope } from "./envelope.ts";
import type { TokenInfo } from "./hsm.ts";
import { Identity, type IdentityOptions } from "./identities.ts";
import { type Deployment, openDeployment } from "./kms/deployment.ts";
import { KmsHost } from "./kms/host.ts";
import { Iam, type IamMethods, type ResponseMetadata, WithMethods } from "./kms/methods.ts";
import { checkOptions, type KmsOptions } from "./kms/options.ts";
import type { Rehearsal, Rehearsed } from "./operation.ts";
import { type Actor, type Caller, Requests } from "./request.ts";
import { InProcessHandler, type Server, type ServerOptions, Serving } from "./server.ts";

export type { IamMethods, Methods, ResponseMetadata } from "./kms/methods.ts";
export type { KmsOptions } from "./kms/options.ts";

export interface AsOptions {
  /**
   * The caller's identity policies, as JSON, in place of those that are kept here. They count where a key policy
   * delegates to the account, as the default one does, and for what no key policy speaks for. Where none are given and
   * no identity of its account is kept here, they are one that allows the latter alone: to make keys, to list them, to
   * name aliases.
   */
  policies?: readonly string[];
  /** Tags of the caller, for `aws:PrincipalTag/…`: besides those that are kept here, and before them. */
  tags?: Readonly<Record<string, string>>;
  /** The service that asks on the caller's behalf, for `kms:ViaService`: `SERVICE.REGION.amazonaws.com`. */
  via?: string;
}

export interface ServiceOptions {
  /** The account on whose behalf the service asks. */
  account?: string;
  /** The ARN of the resource for which it asks, for `aws:SourceArn`. */
  sourceArn?: string;
}

/** A request to be explained: the caller's ARN, the name of an operation, and its input. */
export type ExplainInput = Omit<Rehearsal, "Region">;
export type ExplainOutput = Rehearsed;

type Answered<T> = Promise<T & { $metadata: ResponseMetadata }>;

/** What all callers of a deployment serve together. */
const servings = new WeakMap<Deployment, Serving>();

/**
 * A key management service, as one caller sees it: one method for each operation of AWS KMS, with the names,
 * members and errors of `@aws-sdk/client-kms`, so that code moves over by changing its import. Bytes that are given must
 * stay as they are until the promise settles; all else is copied at once. Rejects with `KmsError`s.
 */
export class Kms extends WithMethods implements Caller, AsyncDisposable {
  readonly #deployment: Deployment;
  readonly #requests: Requests;
  #envelope: Envelope | undefined;
  #iam: IamMethods | undefined;

  private constructor(deployment: Deployment, actor: Actor) {
    super();
    this.#deployment = deployment;
    this.#requests = new Requests(deployment.service, actor);
  }

  /**
   * Opens a deployment, making it on first use; any number of processes may have the same one open. What is
   * opened acts as the root of the account. Close it in the end.
   */
  static async open(options: KmsOptions = {}): Promise<Kms> {
    const deployment = await openDeployment(checkOptions(options));
    const { account, region, store } = deployment.service;
    const identity = new Identity(store, { arn: rootArn(account), account, type: "Account" });
    return new Kms(deployment, { identity, region });
  }

  /** The same service for another caller: the ARN of an account's root, a user, a role or a role's session. */
  as(arn: string, options: AsOptions = {}): Kms {
    const { policies, tags, via } = options;
    const principal = typeof arn === "string" ? parsePrincipal(arn) : undefined;
    if (principal === undefined)
      throw new TypeError(
        `${JSON.stringify(arn)} is no principal; give an ARN such as "arn:aws:iam::${this.account}:role/app"`,
      );
    if (Object.values(tags ?? {}).some((value) => typeof value !== "string"))
      throw new TypeError("the values of tags must be texts");
    if (via !== undefined && !/^[a-z0-9-]+\.[a-z0-9-]+\.amazonaws\.com$/.test(via))
      throw new TypeError(
        `${JSON.stringify(via)} is no service; give SERVICE.REGION.amazonaws.com, such as "s3.${this.region}.amazonaws.com"`,
      );
    const compiled = policies?.map((policy) => compilePolicy(policy, "identity"));
    return this.#for(principal, { policies: compiled, tags: tags && { ...tags } }, via);
  }

  /**
   * The same for a service that is built on this one, such as "backup", which asks on behalf of an account; this
   * caller's unless told. It has keys that nobody else can use or change, each made on first use: `alias/aws/backup`
   * in the account that it acts for, and, for all accounts together, `alias/aws/backup/NAME` (docs/service-keys.md).
   */
  service(name: string, { account = this.account, sourceArn }: ServiceOptions = {}): Kms {
    checkAccount(account, "account");
    if (sourceArn !== undefined && !/^arn:([^:]*:){4}./.test(sourceArn))
      throw new TypeError(`sourceArn must be the ARN of a resource, not ${JSON.stringify(sourceArn)}`);
    const principal = { arn: servicePrincipal(name), account, type: "Service" } as const;
    return this.#for(principal, {}, `${name}.${this.region}.amazonaws.com`, sourceArn);
  }

  #for(principal: Principal, options: IdentityOptions, via?: string, sourceArn?: string): Kms {
    const identity = new Identity(this.#deployment.service.store, principal, options);
    return new Kms(this.#deployment, { ...this.#requests.actor, identity, via, sourceArn });
  }

  /** The same service in another of its Regions, for the same caller. */
  inRegion(region: string): Kms {
    const { regions } = this.#deployment.service;
    if (!regions.has(region))
      throw new TypeError(
        `Region ${JSON.stringify(region)} is not served here, but ${[...regions].join(", ")}; name it in \`regions\``,
      );
    const { actor } = this.#requests;
    const via = actor.via?.replace(`.${actor.region}.`, `.${region}.`);
    return new Kms(this.#deployment, { ...actor, region, via });
  }

  /** The ARN of the caller. */
  get principal(): string {
    return this.#requests.actor.identity.principal.arn;
  }

  /** The caller's account. */
  get account(): string {
    return this.#requests.actor.identity.principal.account || this.#deployment.service.account;
  }

  get region(): string {
    return this.#requests.actor.region;
  }

  /** What is known of the token, and how its handles are used. */
  get hsm(): TokenInfo {
    return this.#deployment.service.hsm.info();
  }

  /** Encrypts data of any size under data keys of this caller's. */
  get envelope(): Envelope {
    this.#envelope ??= new Envelope(this);
    return this.#envelope;
  }

  /**
   * Users, roles and their sessions, with the policies of each, and the service control policies of accounts. The root
   * of an account may do all of it there, and so may whom a policy allows (docs/access.md).
   */
  get iam(): IamMethods {
    this.#iam ??= new Iam(this);
    return this.#iam;
  }

  request(operation: string, input: object = {}): Promise<object> {
    return this.#requests.request(operation, input);
  }

  /**
   * Encrypts up to 100,000 entries of 1 to 4,096 bytes, 256 MiB in all, under one key, with one HSM operation, one
   * access decision and one audit event. The answer has an entry for each, in order, with its ciphertext or with
   * the error that concerns it alone. The ciphertexts are views of one buffer: copy one to keep it for long. Each
   * can be opened alone, by Decrypt.
   */
  encryptBatch(input: EncryptBatchInput): Answered<EncryptBatchOutput>;
  /** The same with all plaintexts in one buffer, one behind the other; the ciphertexts come likewise. */
  encryptBatch(input: EncryptPackedInput): Answered<EncryptPackedOutput>;
  encryptBatch(input: object): Promise<never> {
    return this.request("EncryptBatch", input) as Promise<never>;
  }

  /**
   * Decrypts up to 100,000 ciphertexts under any keys, with one access decision for each key. The answer has an
   * entry for each, in order, with its plaintext or its error; the plaintexts are views of one buffer.
   */
  decryptBatch(input: DecryptBatchInput): Answered<DecryptBatchOutput>;
  /** The same with all ciphertexts in one buffer; a length of 0 marks a plaintext whose error is in `Errors`. */
  decryptBatch(input: DecryptPackedInput): Answered<DecryptPackedOutput>;
  decryptBatch(input: object): Promise<never> {
    return this.request("DecryptBatch", input) as Promise<never>;
  }

  /**
   * Signs up to 100,000 messages of 1 to 4,096 bytes, 256 MiB in all, with one key on all sessions of the HSM, with one
   * access decision and one audit event. The answer has an entry for each, in order, with its signature or the error
   * that concerns it alone; the signatures are views of one buffer. Each can be verified alone, by Verify.
   */
  signBatch(input: SignBatchInput): Answered<SignBatchOutput>;
  /** The same with all messages in one buffer, one behind the other; the signatures come likewise. */
  signBatch(input: SignPackedInput): Answered<SignPackedOutput>;
  signBatch(input: object): Promise<never> {
    return this.request("SignBatch", input) as Promise<never>;
  }

  /**
   * Verifies as many signatures, in software. The answer has an entry for each, in order: `SignatureValid`, or its
   * error, which of a wrong signature is that of Verify.
   */
  verifyBatch(input: VerifyBatchInput): Answered<VerifyBatchOutput>;
  /** The same with all messages in one buffer and all signatures in another; the answer has a byte for each. */
  verifyBatch(input: VerifyPackedInput): Answered<VerifyPackedOutput>;
  verifyBatch(input: object): Promise<never> {
    return this.request("VerifyBatch", input) as Promise<never>;
  }

  /**
   * What would be decided of a request of any caller's, and why: each decision with the statement or grant that decides,
   * each condition with the value that it sees, and what would allow. Nothing else happens of it; of the input it needs
   * what policies look at. For the root of the deployment's account, and those of it who may
   * `iam:SimulatePrincipalPolicy`.
   */
  explain(request: ExplainInput): Answered<ExplainOutput> {
    return this.request("Explain", request) as Promise<never>;
  }

  /**
   * Listens for AWS's clients over HTTP or HTTPS. Each request is one of the caller whose access key has signed it,
   * in the Region of its signature: whose `Kms` this is does not matter. `close` closes it too.
   */
  async listen(options?: ServerOptions): Promise<Server> {
    return this.#deployment.track(await this.#serving.listen(options));
  }

  /** Answers one request of the Fetch standard as `listen` would, for frameworks and runtimes that have a server. */
  fetch(request: Request): Promise<Response> {
    return this.#serving.fetch(request);
  }

  /**
   * For `new KMSClient({ requestHandler: kms.requestHandler() })` of the AWS SDK: answers in this process, without a
   * socket. Signatures are not looked at: all requests are this caller's.
   */
  requestHandler(): InProcessHandler {
    return new InProcessHandler(this.#requests);
  }

  get #serving(): Serving {
    let serving = servings.get(this.#deployment);
    if (serving === undefined) {
      const { service } = this.#deployment;
      serving = new Serving(new KmsHost(service), service.hsm);
      servings.set(this.#deployment, serving);
    }
    return serving;
  }

  /** Does at once what is due, as happens by itself every minute: resolves to how many keys it destroyed or rotated. */
  runDue(): Promise<number> {
    return this.#deployment.worker.runDue();
  }

  /**
   * Ends the service for all callers that share it: requests under way get their answers, later ones reject. A
   * second close joins the first.
   */
  close(): Promise<void> {
    return this.#deployment.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
