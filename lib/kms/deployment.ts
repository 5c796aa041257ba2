import { randomBytes } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { Audit } from "../audit.ts";
import {
  type ClusterConfig,
  type Config,
  DEFAULT_ACCOUNT,
  DEFAULT_REGION,
  readConfig,
  writeConfig,
  type XksConfig,
} from "../config.ts";
import { Hsm, type HsmOptions, journal, provisionSoftHsm, type Signer, syncSoftHsm } from "../hsm.ts";
import { type ClusterOptions, KeyStores } from "../key-stores.ts";
import { KeyQuota, KeyRing, KeyUses } from "../keys.ts";
import { Markers } from "../marker.ts";
import { Flight, type Service } from "../request.ts";
import { Secrets } from "../secrets.ts";
import { openStore, type Store, withLock } from "../store.ts";
import { Worker } from "../worker.ts";
import type { KmsOptions } from "./options.ts";

/** The label of the token's key that signs the heads of the audit log. */
const AUDIT_KEY = "keystead audit";
/** Where the store keeps its public key. */
const AUDIT_KEY_META = "audit key";

/** The rooms of one deployment, open; what `Kms` objects share. */
export class Deployment {
  readonly service: Service;
  readonly worker: Worker;
  readonly #servers = new Set<{ close(): Promise<void> }>();
  #closing: Promise<void> | undefined;

  constructor(service: Service, worker: Worker) {
    this.service = service;
    this.worker = worker;
  }

  /** What is to be closed first. */
  track<Served extends { close(): Promise<void> }>(server: Served): Served {
    this.#servers.add(server);
    return server;
  }

  /** Lets nothing more in, waits for what is under way, and lets go of everything. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { flight, uses, audit, hsm, store } = this.service;
    // Without a server, what comes in this very turn is late already.
    if (this.#servers.size > 0) await Promise.all([...this.#servers].map((server) => server.close()));
    await Promise.all([flight.close(), this.worker.close()]);
    await closeAll([uses, this.service.keyStores, audit, hsm, store]);
  }
}

/** Closes each in order, also when one before it fails; then rejects with the first failure. */
async function closeAll(rooms: { close(): Promise<void> }[]): Promise<void> {
  const failures: unknown[] = [];
  for (const room of rooms) await room.close().catch((error) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/**
 * Opens a deployment, making what is missing of it. Others may open the same directory at the same time: they
 * wait for each other, and whoever comes first makes it. A crash leaves nothing that the next opening does not
 * complete.
 */
export async function openDeployment(options: KmsOptions & { directory: string }): Promise<Deployment> {
  const { directory } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 }).catch((cause) => {
    throw new Error(`there can be no data directory ${directory}: ${cause.message}`, { cause });
  });
  return withLock(directory, async () => {
    const opened: { close(): Promise<void> }[] = [];
    const track = <Room extends { close(): Promise<void> }>(room: Room): Room => {
      opened.unshift(room);
      return room;
    };
    try {
      const { file = join(directory, "keystead.db"), cachedRows } = options.store ?? {};
      const store = track(await openStore({ file, cachedRows }));
      const { region, regions, account, token, clusters, xks, config } = await configure(options, store);
      const hsm = track(await logIn(token));
      for (const served of regions) await openDomain(hsm, store, served);
      const signer = await openSigner(hsm, store);
      await syncSoftHsm(directory);
      const audit = track(await openAudit(options, signer, store));
      const secrets = await Secrets.open(hsm, store, region, (under) => openDomain(hsm, store, under));
      const { clock = Date.now } = options;
      const keyStores = new KeyStores(store, secrets, { clusters, xks, ca: await trusted(xks.ca), clock });
      const service = {
        region,
        regions: new Set(regions),
        account,
        clock,
        store,
        hsm,
        audit,
        keys: new KeyRing(hsm, store, keyStores),
        keyStores,
        quota: new KeyQuota(store),
        markers: new Markers(await markerSecret(store)),
        secrets,
        uses: new KeyUses(store),
        flight: new Flight(),
      };
      if (config !== undefined) await writeConfig(directory, config);
      return new Deployment(service, new Worker(service, options.worker));
    } catch (error) {
      await closeAll(opened).catch(() => {});
      throw error;
    }
  });
}

interface Settings {
  region: string;
  /** All that are served, that one first. */
  regions: string[];
  account: string;
  token: HsmOptions;
  clusters: Readonly<Record<string, ClusterOptions>>;
  xks: XksConfig;
  /** To be written once the deployment has opened, when the directory has none yet. */
  config: Config | undefined;
}

/** What the options say, else keystead.json, else the defaults. */
async function configure(options: KmsOptions & { directory: string }, store: Store): Promise<Settings> {
  const { directory } = options;
  const found = await readConfig(directory);
  const region = options.region ?? found?.region ?? DEFAULT_REGION;
  const further = options.regions ?? found?.regions;
  const regions = [...new Set([region, ...(further ?? [])])];
  const account = options.account ?? found?.account ?? DEFAULT_ACCOUNT;
  const { clusters = found?.hsm?.clusters ?? {}, ...own } = options.hsm ?? {};
  const token = await tokenOf(directory, own, found, (made) => furnish(made, store, regions));
  const xks = options.xks ?? found?.xks ?? {};
  const settings = { region, regions, account, token, clusters: clusterTokens(clusters, token), xks };
  if (found !== undefined) return { ...settings, config: undefined };
  const { module, token: label, pin } = own;
  const kept = typeof pin === "object" && !(pin instanceof Uint8Array) ? pin : undefined;
  const known = module !== undefined || options.hsm?.clusters !== undefined;
  const hsm = known ? { module, token: label, pin: kept, clusters: options.hsm?.clusters } : undefined;
  return { ...settings, config: { region, regions: further, account, hsm, xks: options.xks } };
}

/** The certificates of a file and those that Node trusts; undefined where it is left to Node. */
async function trusted(ca: string | undefined): Promise<readonly string[] | undefined> {
  if (ca === undefined) return undefined;
  const pem = await readFile(ca, "utf8").catch((cause) => {
    throw new Error(`the file of xks.ca cannot be read: ${cause.message}`, { cause });
  });
  return [...rootCertificates, pem];
}

/** A cluster is reached by the module of the deployment's own token, and as that is, unless it names another. */
function clusterTokens(
  clusters: Readonly<Record<string, ClusterConfig>>,
  { module, environment }: HsmOptions,
) {
  const tokens = Object.entries(clusters).map(([id, { token, ...other }]): [string, ClusterOptions] => {
    const same = other.module === undefined || other.module === module;
    return [
      id,
      {
        token,
        module: other.module ?? module,
        environment: other.environment ?? (same ? environment : undefined),
      },
    ];
  });
  return Object.fromEntries(tokens);
}

async function tokenOf(
  directory: string,
  hsm: Omit<NonNullable<KmsOptions["hsm"]>, "clusters">,
  found: Config | undefined,
  furnish: (token: HsmOptions) => Promise<void>,
): Promise<HsmOptions> {
  const module = hsm.module ?? found?.hsm?.module;
  if (module === undefined) return { ...(await provisionSoftHsm(directory, { furnish })), ...defined(hsm) };
  const pin = hsm.pin ?? found?.hsm?.pin;
  if (pin === undefined)
    throw new TypeError(
      `hsm.pin is missing: give the user PIN of the token of ${module}, as { file: PATH } or { env: NAME }`,
    );
  return { token: found?.hsm?.token, ...defined(hsm), module, pin };
}

const defined = <T extends object>(value: T) =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined)) as T;

/** A token locks after a few wrong PINs: none is tried twice. */
async function logIn(token: HsmOptions): Promise<Hsm> {
  try {
    return await Hsm.open(token);
  } catch (cause) {
    if ((cause as { code?: unknown }).code !== "CKR_PIN_INCORRECT") throw cause;
    const name = token.token === undefined ? `of ${token.module}` : `'${token.token}' of ${token.module}`;
    throw new Error(`the user PIN of the token ${name} is wrong; it was tried once: correct hsm.pin`, {
      cause,
    });
  }
}

const domainMeta = (region: string) => `domain ${region}`;

/**
 * Makes the keys of a token that is new, while it still lies aside: a crash leaves no half of one in use. What
 * the store knows already was on a token that is lost, and is not made anew.
 */
async function furnish(token: HsmOptions, store: Store, regions: readonly string[]): Promise<void> {
  const hsm = await Hsm.open(token);
  try {
    for (const region of regions)
      if ((await store.meta(domainMeta(region))) === undefined) await hsm.openDomain(region, true);
    if ((await store.meta(AUDIT_KEY_META)) === undefined) await hsm.signer(AUDIT_KEY, true);
  } finally {
    await hsm.close();
  }
}

/** A domain key that the store counts on is never made anew: what it has wrapped would be lost unnoticed. */
async function openDomain(hsm: Hsm, store: Store, region: string): Promise<void> {
  const name = domainMeta(region);
  const made = (await store.meta(name)) !== undefined;
  await hsm.openDomain(region, !made);
  if (!made) await store.apply([{ put: "meta", row: { name, value: "made" } }]);
}

async function openSigner(hsm: Hsm, store: Store): Promise<Signer> {
  const known = await store.meta(AUDIT_KEY_META);
  const signer = await hsm.signer(AUDIT_KEY, known === undefined);
  const publicKey = Buffer.from(signer.publicKey).toString("base64");
  if (known === undefined)
    await store.apply([{ put: "meta", row: { name: AUDIT_KEY_META, value: publicKey } }]);
  else if (known !== publicKey)
    throw new Error(`the token's key '${AUDIT_KEY}' is another than the one that this database knows`);
  return signer;
}

function openAudit(
  { directory, audit = {}, clock }: KmsOptions & { directory: string },
  signer: Signer,
  store: Store,
): Promise<Audit> {
  return Audit.open({
    ...audit,
    directory: audit.directory ?? join(directory, "audit"),
    clock,
    signer,
    journal,
    keepHead: (row) => store.apply([{ put: "auditHead", row }]),
  });
}

async function markerSecret(store: Store): Promise<Uint8Array> {
  const name = "marker secret";
  let secret = await store.meta(name);
  if (secret === undefined) {
    secret = randomBytes(32).toString("hex");
    await store.apply([{ put: "meta", row: { name, value: secret } }]);
  }
  return Buffer.from(secret, "hex");
}
