import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect } from "vitest";
import { lastEvents } from "../lib/audit.ts";
import { Kms, type KmsOptions } from "../lib/index.ts";

export const ACCOUNT = "111122223333";
export const REGION = "eu-west-1";

/** A clock that stands still until it is set. */
export class Clock {
  now = Date.UTC(2026, 0, 15, 12);
  readonly read = (): number => this.now;
  advance(days: number): void {
    this.now += days * 86_400_000;
  }
}

export interface TestDeployment {
  kms: Kms;
  directory: string;
  clock: Clock;
  /** The last events of the trail, the oldest first. */
  events(count: number): Promise<AuditRecord[]>;
}

/** The members of a record that tests look at. */
export interface AuditRecord {
  eventName: string;
  errorCode?: string;
  errorMessage?: string;
  requestID: string;
  eventID: string;
  readOnly: boolean;
  userIdentity: { type: string; arn: string; accountId?: string };
  recipientAccountId: string;
  sharedEventID?: string;
  requestParameters: Record<string, unknown> | null;
  responseElements: Record<string, unknown> | null;
  additionalEventData?: Record<string, unknown>;
  serviceEventDetails?: Record<string, unknown>;
  resources: { ARN: string }[];
}

/** A new deployment on a SoftHSM token of its own: one in each test file, as SoftHSM has one directory a process. */
export async function openTestDeployment(options: KmsOptions = {}): Promise<TestDeployment> {
  const home = mkdtempSync(join(tmpdir(), "keystead-test-"));
  const directory = join(home, "deployment");
  const clock = new Clock();
  const kms = await Kms.open({ directory, region: REGION, account: ACCOUNT, clock: clock.read, ...options });
  afterAll(async () => {
    await kms.close();
    rmSync(home, { recursive: true, force: true });
  });
  const events = async (count: number) =>
    (await lastEvents(join(directory, "audit"), count)).map((line) => JSON.parse(line) as AuditRecord);
  return { kms, directory, clock, events };
}

/** What a promise rejects with, by name and message; a promise that does not reject fails the test. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`.replace(/: $/, "");
  }
  return expect.fail("was not refused");
}

export const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
export const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);

/** A new key, by its id and ARN. */
export async function newKey(kms: Kms, input: Parameters<Kms["createKey"]>[0] = {}) {
  const { KeyMetadata } = await kms.createKey(input);
  return { KeyId: KeyMetadata?.KeyId as string, Arn: KeyMetadata?.Arn as string };
}
