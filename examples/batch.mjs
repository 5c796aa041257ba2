// Ten thousand records in one call: one HSM operation, one audit event, order kept, an error for each entry.
import { Kms } from "keystead";

const kms = await Kms.open();
const { KeyMetadata } = await kms.createKey({ Description: "records" });
const records = Array.from({ length: 10_000 }, (_, i) => Buffer.from(`record ${i}`));

const EncryptionContext = { table: "people" };
const { Entries } = await kms.encryptBatch({
  KeyId: KeyMetadata.KeyId,
  EncryptionContext,
  Entries: records.map((Plaintext) => ({ Plaintext })),
});

const damaged = Uint8Array.from(Entries[1].CiphertextBlob);
damaged[80] ^= 1;
const opened = await kms.decryptBatch({
  EncryptionContext,
  Entries: [Entries[0], { CiphertextBlob: damaged }, Entries[2]],
});
for (const { Plaintext, Error: error } of opened.Entries) {
  console.log(error ? error.name : Buffer.from(Plaintext).toString());
}
await kms.close();
