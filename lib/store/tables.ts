import type {
  AliasRow,
  AuditHeadRow,
  BackingKeyRow,
  CredentialRow,
  CustomKeyStoreRow,
  GrantRow,
  KeyRow,
  KeyUsageRow,
  MetaRow,
  PrincipalRow,
  StrayKeyRow,
} from "./rows.ts";
import { Table } from "./table.ts";

const OF_KEY = "FOREIGN KEY (region, key_id) REFERENCES keys ON DELETE CASCADE";

/** Every table there is, by the name that changes call its rows by. */
export const tables = {
  meta: new Table<MetaRow>("meta", {
    columns: { name: "text", value: "text" },
    primary: ["name"],
  }),
  key: new Table<KeyRow>("keys", {
    columns: {
      region: "text",
      keyId: "text",
      account: "text",
      keySpec: "text",
      keyUsage: "text",
      origin: "text",
      keyManager: "text",
      service: "text?",
      keyState: "text",
      description: "prose",
      policy: "prose",
      policyPrincipals: "json?",
      createdAt: "integer",
      deletionAt: "integer?",
      pendingWindow: "integer?",
      multiRegion: "boolean",
      primaryRegion: "text?",
      customKeyStoreId: "text?",
      xksKeyId: "text?",
      tags: "json",
      materialId: "text?",
      expirationModel: "text?",
      validTo: "integer?",
      rotationPeriod: "integer?",
      nextRotationAt: "integer?",
      revision: "integer",
    },
    primary: ["region", "keyId"],
  }),
  backingKey: new Table<BackingKeyRow>("backing_keys", {
    columns: {
      region: "text",
      keyId: "text",
      version: "integer",
      materialId: "text",
      blob: "blob?",
      publicKey: "blob?",
      createdAt: "integer",
      state: "text",
      description: "prose?",
      expirationModel: "text?",
      validTo: "integer?",
      rotatedAt: "integer?",
      rotationType: "text?",
    },
    primary: ["region", "keyId", "materialId"],
    constraints: ["UNIQUE (region, key_id, version)", OF_KEY],
  }),
  alias: new Table<AliasRow>("aliases", {
    columns: {
      region: "text",
      account: "text",
      name: "text",
      keyId: "text",
      createdAt: "integer",
      updatedAt: "integer",
    },
    primary: ["region", "account", "name"],
    constraints: [OF_KEY],
  }),
  grant: new Table<GrantRow>("grants", {
    columns: {
      region: "text",
      keyId: "text",
      grantId: "text",
      account: "text",
      name: "text?",
      granteePrincipal: "text",
      retiringPrincipal: "text?",
      issuingAccount: "text",
      operations: "json",
      constraints: "json?",
      principals: "json?",
      createdAt: "integer",
    },
    primary: ["region", "keyId", "grantId"],
    constraints: [OF_KEY],
  }),
  keyUsage: new Table<KeyUsageRow>("key_usage", {
    columns: {
      region: "text",
      keyId: "text",
      operation: "text",
      usedAt: "integer",
      eventId: "text",
      requestId: "text",
    },
    primary: ["region", "keyId"],
    constraints: [OF_KEY],
  }),
  customKeyStore: new Table<CustomKeyStoreRow>("custom_key_stores", {
    columns: {
      region: "text",
      account: "text",
      customKeyStoreId: "text",
      name: "text",
      type: "text",
      settings: "json",
      secret: "blob?",
      connectionState: "text",
      connectionErrorCode: "text?",
      createdAt: "integer",
      revision: "integer",
    },
    primary: ["region", "customKeyStoreId"],
    constraints: ["UNIQUE (region, account, name)"],
  }),
  strayKey: new Table<StrayKeyRow>("stray_keys", {
    columns: { clusterId: "text", keyId: "text", dueAt: "integer", revision: "integer" },
    primary: ["clusterId", "keyId"],
  }),
  principal: new Table<PrincipalRow>("principals", {
    columns: {
      arn: "text",
      principalId: "text",
      account: "text",
      type: "text",
      policies: "json",
      boundary: "text?",
      trust: "text?",
      trustPrincipals: "json?",
      tags: "json",
      createdAt: "integer",
      revision: "integer",
    },
    primary: ["arn"],
  }),
  credential: new Table<CredentialRow>("credentials", {
    columns: {
      accessKeyId: "text",
      account: "text",
      principal: "text",
      secret: "blob",
      state: "text",
      session: "json?",
      expiresAt: "integer?",
      createdAt: "integer",
    },
    primary: ["accessKeyId"],
  }),
  auditHead: new Table<AuditHeadRow>("audit_heads", {
    columns: {
      stream: "text",
      sequence: "integer",
      digest: "text",
      file: "text",
      time: "integer",
      closed: "boolean",
      signature: "text",
    },
    primary: ["stream"],
  }),
} as const;

export const INDEXES = `
CREATE INDEX keys_by_account ON keys (region, account, key_id);
CREATE INDEX keys_by_service ON keys (region, account) WHERE service IS NOT NULL;
CREATE INDEX keys_by_id ON keys (key_id, region);
CREATE INDEX keys_by_deletion ON keys (deletion_at) WHERE deletion_at IS NOT NULL;
CREATE INDEX keys_by_rotation ON keys (next_rotation_at) WHERE next_rotation_at IS NOT NULL;
CREATE INDEX keys_by_expiry ON keys (valid_to) WHERE valid_to IS NOT NULL;
CREATE INDEX keys_by_custom_key_store ON keys (region, custom_key_store_id, key_id)
  WHERE custom_key_store_id IS NOT NULL;
CREATE UNIQUE INDEX keys_by_external_key ON keys (region, custom_key_store_id, xks_key_id)
  WHERE xks_key_id IS NOT NULL;
CREATE INDEX aliases_by_key ON aliases (region, key_id, account, name);
CREATE INDEX grants_by_retiring_principal ON grants (region, retiring_principal, key_id, grant_id)
  WHERE retiring_principal IS NOT NULL;
CREATE INDEX grants_by_grantee ON grants (region, key_id, grantee_principal, grant_id);
CREATE INDEX custom_key_stores_by_account ON custom_key_stores (region, account, custom_key_store_id);
CREATE INDEX custom_key_stores_by_state ON custom_key_stores (connection_state, custom_key_store_id);
CREATE INDEX stray_keys_by_due ON stray_keys (due_at);
CREATE INDEX principals_by_account ON principals (account, arn);
CREATE INDEX credentials_by_account ON credentials (account, access_key_id);
CREATE INDEX credentials_by_expiry ON credentials (expires_at) WHERE expires_at IS NOT NULL;
`;
