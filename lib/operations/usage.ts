import { operation, states, trackedOperations } from "../operation.ts";
import { string, structure } from "../shape.ts";
import * as shapes from "../shapes.ts";

const KeyLastUsageData = structure({
  Operation: string({ enum: trackedOperations }),
  Timestamp: shapes.DateType,
  CloudTrailEventId: string(),
  KmsRequestId: string(),
});

export const getKeyLastUsage = operation({
  name: "GetKeyLastUsage",
  input: structure({ KeyId: shapes.KeyIdType }, ["KeyId"]),
  output: structure({
    KeyId: shapes.KeyIdType,
    KeyLastUsage: KeyLastUsageData,
    TrackingStartDate: shapes.DateType,
    KeyCreationDate: shapes.DateType,
  }),
  errors: ["NotFoundException", "InvalidArnException", "DependencyTimeoutException", "KMSInternalException"],
  key: { member: "KeyId", aliases: false },
  states: states.reading,
  async run({ uses }, _input, key) {
    const last = await uses.last(key.region, key.keyId);
    return {
      KeyId: key.keyId,
      KeyCreationDate: new Date(key.createdAt),
      // From its first day on.
      TrackingStartDate: new Date(key.createdAt),
      KeyLastUsage: last
        ? {
            Operation: last.operation as (typeof trackedOperations)[number],
            Timestamp: new Date(last.usedAt),
            CloudTrailEventId: last.eventId,
            KmsRequestId: last.requestId,
          }
        : {},
    };
  },
});
