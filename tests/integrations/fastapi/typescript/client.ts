// What a client does with the replies: every kind of problem has a case, and no other.
import type { components, operations, paths } from "./api";

type Problem = components["schemas"]["Problem"];
type State = components["schemas"]["FlowState"];
type Start = operations["phone_start"];

export function explain(problem: Problem): string {
  switch (problem.type) {
    case "urn:otpverify:problem:incorrect-code": {
      const left: number | null = problem.attempts_left;
      return left === null ? problem.detail : `${left} left`;
    }
    case "urn:otpverify:problem:cooldown-active": {
      const limit: "resend_cooldown" = problem.limit;
      return `${limit}: wait ${problem.retry_after.toFixed()} seconds`;
    }
    case "urn:otpverify:problem:rate-limited":
      switch (problem.limit) {
        case "sends_per_phone":
        case "sends_per_ip":
          return `wait ${problem.retry_after.toFixed()} seconds`;
        case "failures_per_phone":
        case "consecutive_failures":
          return "too many wrong codes";
        default:
          return never(problem);
      }
    case "urn:otpverify:problem:attempts-exhausted":
      return `wait ${problem.retry_after.toFixed()} seconds`;
    case "urn:otpverify:problem:destination-blocked":
      return problem.reason === "premium_rate" ? "too expensive" : problem.detail;
    case "urn:otpverify:problem:challenge-expired":
      return problem.session_empty === true ? "allow cookies" : problem.detail;
    case "urn:otpverify:problem:delivery-failed":
      return problem.maybe_sent ? "a code may arrive" : problem.detail;
    case "urn:otpverify:problem:proof-required":
      return `start ${problem.purpose ?? "a flow"}`;
    case "urn:otpverify:problem:invalid-request":
      return (problem.errors ?? []).map((one) => one.field).join(", ");
    case "urn:otpverify:problem:human-check-required":
    case "urn:otpverify:problem:invalid-phone-number":
    case "urn:otpverify:problem:store-unavailable":
    case "urn:otpverify:problem:request-too-large":
    case "urn:otpverify:problem:json-required":
    case "urn:otpverify:problem:sign-in-refused":
      return problem.detail;
    default:
      return never(problem);
  }
}

export async function start(phone: string, token: string): Promise<[State, string | undefined] | Problem> {
  const path: keyof paths = "/phone/start";
  const body: Start["requestBody"]["content"]["application/json"] = { phone };
  const header: Start["parameters"]["header"] = { "otp-flow": token };
  const reply = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...header },
    body: JSON.stringify(body),
  });
  type Started = Start["responses"][202];
  const next: Started["headers"]["Otp-Flow"] = reply.headers.get("Otp-Flow") ?? undefined;
  return reply.ok
    ? [(await reply.json()) as Started["content"]["application/json"], next]
    : ((await reply.json()) as Start["responses"][429]["content"]["application/problem+json"]);
}

function never(kind: never): never {
  throw new Error(`unknown: ${JSON.stringify(kind)}`);
}
