// A file of any size under a data key, in the format that every AWS Encryption SDK reads.
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Kms } from "keystead";

const kms = await Kms.open();
const { KeyMetadata } = await kms.createKey({ Description: "backups" });
const directory = await mkdtemp(join(tmpdir(), "keystead-example-"));
const [plain, sealed, opened] = ["plain", "sealed", "opened"].map((name) => join(directory, name));
await writeFile(plain, Buffer.alloc(10_000_000, "keystead "));

const EncryptionContext = { backup: "2026-11" };
await kms.envelope.encryptFile(plain, sealed, { KeyId: KeyMetadata.KeyId, EncryptionContext });
await kms.envelope.decryptFile(sealed, opened, { EncryptionContext });
console.log((await readFile(plain)).equals(await readFile(opened)) ? "the same bytes" : "other bytes");
await kms.close();
