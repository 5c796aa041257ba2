import type { Operation } from "./operation.ts";
import * as accessKeys from "./operations/access-keys.ts";
import * as aliases from "./operations/aliases.ts";
import * as batches from "./operations/batches.ts";
import * as customKeyStores from "./operations/custom-key-stores.ts";
import * as dataKeyPairs from "./operations/data-key-pairs.ts";
import * as dataKeys from "./operations/data-keys.ts";
import * as deletion from "./operations/deletion.ts";
import * as encryption from "./operations/encryption.ts";
import * as explanation from "./operations/explain.ts";
import * as grants from "./operations/grants.ts";
import * as identities from "./operations/identities.ts";
import * as imports from "./operations/import.ts";
import * as keyPairs from "./operations/key-pairs.ts";
import * as keys from "./operations/keys.ts";
import * as macs from "./operations/macs.ts";
import * as multiRegion from "./operations/multi-region.ts";
import * as policies from "./operations/policies.ts";
import * as random from "./operations/random.ts";
import * as rotation from "./operations/rotation.ts";
import * as sessions from "./operations/sessions.ts";
import * as signing from "./operations/signing.ts";
import * as signingBatches from "./operations/signing-batches.ts";
import * as tags from "./operations/tags.ts";
import * as usage from "./operations/usage.ts";

export { createServiceKey } from "./operations/service-keys.ts";

/** The operations of AWS KMS that are offered, by their names. */
export const operations = byName({
  ...keys,
  ...customKeyStores,
  ...deletion,
  ...multiRegion,
  ...aliases,
  ...rotation,
  ...tags,
  ...usage,
  ...grants,
  ...policies,
  ...encryption,
  ...dataKeys,
  ...dataKeyPairs,
  ...keyPairs,
  ...imports,
  ...signing,
  ...macs,
  ...random,
});

/** Operations of our own, which are not offered to AWS's clients. */
export const extensions = byName({ ...batches, ...signingBatches, ...explanation });
export const administration = byName({ ...accessKeys });
export const iam = byName({ ...identities, ...sessions });

/** Every row, by its name. */
export const table: ReadonlyMap<string, Operation> = new Map(
  Object.entries({ ...operations, ...extensions, ...administration, ...iam }) as [string, Operation][],
);

type Named = { readonly name: string };

/** The rows of the families under the names of the operations, which are those of the exports in capitals. */
function byName<Rows extends Readonly<Record<string, Named>>>(rows: Rows) {
  const named = Object.values(rows).map((row) => [row.name, row]);
  return Object.fromEntries(named) as { [K in keyof Rows as Rows[K]["name"]]: Rows[K] };
}
