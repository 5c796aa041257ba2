import { CustomKeyStoreNotFoundException, ValidationException } from "../errors.ts";
import { operation, refuseRecipient } from "../operation.ts";
import { structure } from "../shape.ts";
import * as shapes from "../shapes.ts";

export const generateRandom = operation({
  name: "GenerateRandom",
  input: structure({
    NumberOfBytes: shapes.NumberOfBytesType,
    CustomKeyStoreId: shapes.CustomKeyStoreIdType,
    Recipient: shapes.RecipientInfo,
  }),
  output: structure({ Plaintext: shapes.PlaintextType, CiphertextForRecipient: shapes.CiphertextType }),
  errors: [
    "DependencyTimeoutException",
    "KMSInternalException",
    "UnsupportedOperationException",
    "CustomKeyStoreNotFoundException",
    "CustomKeyStoreInvalidStateException",
  ],
  resource: "*",
  async run({ hsm }, input) {
    refuseRecipient(input);
    if (input.CustomKeyStoreId)
      throw new CustomKeyStoreNotFoundException(`Custom key store ${input.CustomKeyStoreId} is not found.`);
    if (input.NumberOfBytes === undefined) throw new ValidationException("NumberOfBytes is required.");
    return { Plaintext: await hsm.random(input.NumberOfBytes) };
  },
});
