import { describe, expect, it } from "vitest";
import * as errors from "../lib/errors.ts";
import model from "./vectors/aws-kms-model.json" with { type: "json" };

type ErrorClass = new (message?: string, options?: ErrorOptions) => errors.KmsError;

const classes = new Map<string, ErrorClass>();
for (const [name, value] of Object.entries(errors as Record<string, { prototype?: unknown }>))
  if (value.prototype instanceof errors.KmsError) classes.set(name, value as ErrorClass);

const modelled = Object.entries<{ exception?: boolean; fault?: boolean }>(
  model.shapes as Record<string, object>,
).filter(([, shape]) => shape.exception);
const unmodelled = [
  "AccessDeniedException",
  "ValidationException",
  "SerializationException",
  "ThrottlingException",
  "UnknownOperationException",
  "MissingAuthenticationTokenException",
  "IncompleteSignatureException",
  "InvalidSignatureException",
  "UnrecognizedClientException",
  "ExpiredTokenException",
  "InvalidClientTokenId",
  "RequestEntityTooLargeException",
];

describe("errors", () => {
  it("has the classes of the model and those it lacks, and no others", () => {
    expect(modelled).toHaveLength(48);
    expect([...classes.keys()].sort()).toEqual([...modelled.map(([name]) => name), ...unmodelled].sort());
  });

  it.each(modelled)("%s has the model's name and fault", (name, { fault }) => {
    const Class = classes.get(name) as ErrorClass;
    const error = new Class("why");
    expect(error).toBeInstanceOf(Class);
    expect(error).toBeInstanceOf(errors.KmsError);
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ name, message: "why", $fault: fault ? "server" : "client" });
    expect(error.$metadata.httpStatusCode).toBe(fault ? 500 : 400);
  });

  it.each(unmodelled)("%s is the caller's fault", (name) => {
    const error = new (classes.get(name) as ErrorClass)();
    expect(error).toMatchObject({ name, message: "", $fault: "client" });
    expect(error.$metadata).toEqual({
      httpStatusCode: name === "RequestEntityTooLargeException" ? 413 : 400,
      requestId: undefined,
      attempts: 1,
      totalRetryDelay: 0,
    });
  });

  it("shows its name in a stack and keeps its cause out of its message", () => {
    const cause = new Error("C_Sign: CKR_DEVICE_REMOVED");
    const error = errors.internal(cause);
    expect(error.cause).toBe(cause);
    expect(error.message).not.toContain("C_Sign");
    expect(`${error}`).toMatch(/^KMSInternalException: /);
  });

  it("keeps one error's metadata apart from another's", () => {
    const first = new errors.NotFoundException();
    first.$metadata.requestId = "1";
    expect(new errors.NotFoundException().$metadata.requestId).toBeUndefined();
  });

  it("has the service's words", () => {
    const arn = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const texts = [
      errors.keyNotFound(arn),
      errors.aliasNotFound("arn:aws:kms:us-east-1:111122223333:alias/a"),
      errors.disabled(arn),
      errors.pendingDeletion(arn),
      errors.notPendingDeletion(arn),
      errors.pendingImport(arn),
      errors.invalidUsage(arn, "SIGN_VERIFY", "Encrypt"),
      errors.incorrectKey(),
      errors.dryRun(),
    ].map((error) => `${error}`);
    expect(texts).toEqual([
      `NotFoundException: Key '${arn}' does not exist`,
      "NotFoundException: Alias arn:aws:kms:us-east-1:111122223333:alias/a is not found.",
      `DisabledException: ${arn} is disabled.`,
      `KMSInvalidStateException: ${arn} is pending deletion.`,
      `KMSInvalidStateException: ${arn} is not pending deletion.`,
      `KMSInvalidStateException: ${arn} is pending import.`,
      `InvalidKeyUsageException: ${arn} key usage is SIGN_VERIFY which is not valid for Encrypt.`,
      "IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.",
      "DryRunOperationException: The request would have succeeded, but the DryRun option is set.",
    ]);
  });
});
