// A key, an alias, a ciphertext bound to its context.
import { Kms } from "keystead";

const kms = await Kms.open();
const { KeyMetadata } = await kms.createKey({ Description: "orders" });
await kms.createAlias({ AliasName: "alias/orders", TargetKeyId: KeyMetadata.KeyId });

const EncryptionContext = { tenant: "7" };
const { CiphertextBlob } = await kms.encrypt({
  KeyId: "alias/orders",
  Plaintext: Buffer.from("4111 1111 1111 1111"),
  EncryptionContext,
});
const { Plaintext, KeyId } = await kms.decrypt({ CiphertextBlob, EncryptionContext });
console.log(`${Buffer.from(Plaintext)} was under ${KeyId}`);

try {
  await kms.decrypt({ CiphertextBlob, EncryptionContext: { tenant: "8" } });
} catch (error) {
  console.log(`with another context: ${error.name}`);
}
await kms.close();
