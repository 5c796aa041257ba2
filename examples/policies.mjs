// A key policy is enforced: the application may encrypt, and nothing else.
import { Kms } from "keystead";

const kms = await Kms.open({ account: "111122223333" });
const app = "arn:aws:iam::111122223333:role/app";
const { KeyMetadata } = await kms.createKey({
  Policy: JSON.stringify({
    Version: "2012-10-17",
    Statement: [
      {
        Sid: "administrators",
        Effect: "Allow",
        Principal: { AWS: "arn:aws:iam::111122223333:root" },
        Action: "kms:*",
        Resource: "*",
      },
      { Sid: "app", Effect: "Allow", Principal: { AWS: app }, Action: "kms:Encrypt", Resource: "*" },
    ],
  }),
});
const KeyId = KeyMetadata.KeyId;
// No identity policy of its own allows this role anything: what it may do, the key policy says.
const caller = kms.as(app, { policies: [] });
const { CiphertextBlob } = await caller.encrypt({ KeyId, Plaintext: Buffer.from("hello") });
console.log(`the app encrypted ${CiphertextBlob.length} bytes`);
await kms
  .as(app)
  .decrypt({ CiphertextBlob })
  .catch((error) => console.log(error.message));
await kms.close();
