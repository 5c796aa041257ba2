import { randomUUID } from "node:crypto";
import { type KmsError, UnknownOperationException } from "../errors.ts";
import { failureOf } from "../failure.ts";
import type { Operation } from "../operation.ts";
import { operations } from "../operations.ts";
import type { Caller } from "../request.ts";
import type { HttpAnswer, HttpRequest } from "./message.ts";
import { isJson, JSON_TYPE, nameOfTarget, readInput, writeError, writeOutput } from "./wire.ts";

/** A caller that also puts on record what never became a request. */
export interface ServedCaller extends Caller {
  /** Rejects with `error` once its event is durable. */
  refuse(operation: string, error: KmsError): Promise<never>;
}

/** What is offered over the wire: AWS's operations, and none of our own. */
const table: ReadonlyMap<string, Operation> = new Map(Object.entries(operations) as [string, Operation][]);

/** The operation that a request is for, undefined when there is none such. */
export function operationOf({ fields }: HttpRequest): Operation | undefined {
  if (!isJson(fields.get("content-type"))) return undefined;
  return table.get(nameOfTarget(fields.get("x-amz-target")));
}

/** Does what a request in JSON 1.1 asks for, for whoever it was found to be from. Rejects with the error to answer. */
export async function perform(caller: ServedCaller, request: HttpRequest): Promise<HttpAnswer> {
  const operation = operationOf(request);
  if (operation === undefined) return caller.refuse("UnknownOperation", new UnknownOperationException());
  let input: object;
  try {
    input = readInput(operation, request.body);
  } catch (cause) {
    return caller.refuse(operation.name, failureOf(cause, []));
  }
  const output = (await caller.request(operation.name, input)) as { $metadata: { requestId: string } };
  return {
    status: 200,
    requestId: output.$metadata.requestId,
    contentType: JSON_TYPE,
    body: writeOutput(operation, output),
  };
}

/** An error that came before its request had an id is given one. */
export function errorAnswer(error: KmsError): HttpAnswer {
  const { httpStatusCode, requestId = randomUUID() } = error.$metadata;
  return { status: httpStatusCode, requestId, contentType: JSON_TYPE, body: writeError(error) };
}
