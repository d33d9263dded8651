// A page for the API. The server knows where a flow stands: its status says which form comes next.
"use strict";

const PHONE = { name: "phone", label: "Phone number", type: "tel", autocomplete: "tel", placeholder: "+1 202 555 0123" };
const PASSWORD = { name: "password", label: "Password", type: "password", autocomplete: "current-password" };

const FLOWS = {
  "sign-in": {
    title: "Sign in by phone",
    about: "The account’s number is +1 202 555 0123. Any other gets the same answers, and no message.",
    at: "/sign-in",
    first: [PHONE],
    send: (form) => api("POST", "/sign-in/start", form),
    finish: () => api("POST", "/sign-in/done", {}),
    done: (account) => ["You are signed in", `As ${account.user}, with the number ${account.phone}.`],
  },
  login: {
    title: "Sign in with a password",
    about: "User name customer, password open sesame. The code goes to the account’s phone.",
    at: "/login/code",
    first: [{ name: "user", label: "User name", autocomplete: "username" }, PASSWORD],
    send: async (form) => {
      const password = await api("POST", "/login", form);
      if (!password.ok) return password;
      return password.body.code ? api("POST", "/login/code/start", {}) : { ...(await api("GET", "/me")), signedIn: true };
    },
    remember: "Remember this browser for 30 days",
    finish: (form) => api("POST", "/login/done", { remember: form.remember === "on" }),
    done: (account) => ["You are signed in", `As ${account.user}, with the number ${account.phone}.`],
  },
  phone: {
    title: "Change your phone number",
    about: "Sign in first. For example +1 202 555 0124.",
    at: "/phone",
    signedIn: true,
    first: [PHONE],
    send: (form) => api("POST", "/phone/start", form),
    finish: () => api("PUT", "/me/phone", {}),
    done: (account) => ["Phone confirmed", `${account.phone} is the account’s number now.`],
  },
  payment: {
    title: "Approve a payment",
    about: "Pay 25.00 EUR to Bookshop. The message names the amount and the payee.",
    at: "/payments/1/approval",
    signedIn: true,
    first: [],
    send: () => api("POST", "/payments/1/approval/start", {}),
    finish: () => api("POST", "/payments/1", {}),
    done: (invoice) => ["Paid", `${invoice.amount} to ${invoice.payee}.`],
  },
  reset: {
    title: "Reset your password",
    about: "Any number gets the same answers. A message goes out only if there is an account.",
    at: "/reset",
    first: [PHONE],
    send: (form) => api("POST", "/reset/start", form),
    last: [{ name: "password", label: "New password", type: "password", autocomplete: "new-password" }],
    finish: (form) => api("POST", "/reset/password", form),
    done: () => ["Password changed", "All sessions of the account were signed out."],
  },
};

const panel = document.getElementById("panel");
let timer;

async function api(method, path, body) {
  try {
    const reply = await fetch(path, {
      method,
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const found = reply.status === 204 ? {} : await reply.json();
    return { ok: reply.ok, status: reply.status, body: found };
  } catch {
    return { ok: false, status: 0, body: { detail: "The site cannot be reached. Please try again." } };
  }
}

const sentence = (reply) => (typeof reply.body.detail === "string" ? reply.body.detail : "Please check what you typed.");

/** An element: its attributes (`null` leaves one out), and its children. */
function make(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(key, value);
    else if (value !== null) made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

/** Show a heading and what is below it. The heading gets the focus unless a field has it. */
function show(title, ...children) {
  clearInterval(timer);
  const heading = make("h1", { tabindex: "-1" }, title);
  panel.replaceChildren(heading, ...children);
  document.title = `${title} · otpverify with FastAPI`;
  (panel.querySelector("[data-focus]") ?? heading).focus();
}

const home = () => make("p", {}, make("a", { href: "#" }, "Back to the first page"));

/** A form of these fields. `send` gets their values, and returns the reply if it is a refusal. */
function form(fields, button, send, error) {
  const inputs = fields.map(({ label, ...field }, index) => {
    if (field.type === "checkbox") {
      const box = make("input", { id: `field-${field.name}`, ...field });
      return [make("p", { class: "otpverify-check" }, box, make("label", { for: box.id }, label))];
    }
    const input = make("input", { id: `field-${field.name}`, required: "", ...field });
    if (index === 0) input.setAttribute("data-focus", "");
    if (error) {
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", "problem");
    }
    return [make("label", { for: input.id }, label), input];
  });
  const problem = error ? [make("p", { class: "otpverify-notice otpverify-error", id: "problem", role: "alert" }, error)] : [];
  return make(
    "form",
    {
      submit: async (event) => {
        event.preventDefault();
        const made = event.currentTarget;
        const values = Object.fromEntries(new FormData(made));
        made.setAttribute("aria-busy", "true");
        made.querySelector("button").disabled = true;
        await send(values);
      },
    },
    ...inputs.flat(),
    ...problem,
    make("button", { class: "otpverify-main" }, button),
  );
}

async function first(name, error, values = {}) {
  const flow = FLOWS[name];
  if (flow.signedIn && !(await api("GET", "/me")).ok) {
    return show(flow.title, make("p", { class: "otpverify-notice otpverify-wait", role: "status" }, "Sign in first."),
      make("p", {}, make("a", { href: "#sign-in" }, FLOWS["sign-in"].title)), home());
  }
  const fields = flow.first.map((field) => ({ ...field, value: field.type === "password" ? null : values[field.name] ?? null }));
  show(flow.title, make("p", {}, flow.about), form(fields, "Send a code", async (given) => {
    const reply = await flow.send(given);
    if (reply.ok && reply.signedIn) return done(name, reply.body);
    const state = reply.ok ? reply.body : reply.body.flow;
    if (state?.state === "pending") code(name, state, reply.ok ? null : sentence(reply));
    else first(name, sentence(reply), given);
  }, error), home());
}

function code(name, state, error) {
  const flow = FLOWS[name];
  const field = { name: "code", label: "Code from the message", class: "otpverify-code", inputmode: "numeric", autocomplete: "one-time-code", dir: "ltr" };
  const remember = flow.remember ? [{ name: "remember", label: flow.remember, type: "checkbox" }] : [];
  const minutes = Math.max(1, Math.ceil(state.expires_in / 60));
  const resend = make("button", { class: "otpverify-second", click: async () => next(name, await api("POST", `${flow.at}/resend`, {})) }, "Resend code");
  const sent = ["sign-in", "reset"].includes(name) ? "If there is an account with this number, we sent a code to it." : "We sent you a code.";
  show("Enter the code",
    make("p", {}, `${sent} It expires in ${minutes} ${minutes === 1 ? "minute" : "minutes"}.`),
    form([field, ...remember], "Continue", async ({ code, ...more }) => next(name, await api("POST", `${flow.at}/check`, { code }), more), error),
    make("div", { class: "otpverify-others" }, resend,
      make("button", { class: "otpverify-link", click: async () => { await api("POST", `${flow.at}/cancel`, {}); first(name); } }, "Cancel"),
      ...(error ? [] : [make("p", { class: "otpverify-hint" }, `Attempts left: ${state.attempts_left}`)])));
  countDown(resend, state.resend_in);
}

/** Lock a button for so many seconds, and show them. */
function countDown(button, seconds) {
  const until = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? `Resend code (${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")})` : "Resend code";
    if (left <= 0) clearInterval(timer);
  };
  timer = setInterval(tick, 500);
  tick();
}

/** The form that comes after this reply; `more` is what was filled in beside the code. */
function next(name, reply, more = {}) {
  const state = reply.ok ? reply.body : reply.body.flow ?? { state: "none" };
  const error = reply.ok ? null : sentence(reply);
  if (state.state === "pending") code(name, state, error);
  else if (state.state === "verified") last(name, null, more);
  else first(name, error);
}

async function last(name, error, more = {}) {
  const flow = FLOWS[name];
  if (!flow.last) return finish(name, more);
  return show("Choose a new password", form(flow.last, "Change the password", (given) => finish(name, given), error));
}

async function finish(name, given) {
  const flow = FLOWS[name];
  const reply = await flow.finish(given);
  if (reply.ok) return done(name, reply.body);
  return flow.last && reply.status === 422 ? last(name, sentence(reply)) : first(name, sentence(reply));
}

/** The end of a flow. */
function done(name, found) {
  const [title, text] = FLOWS[name].done(found);
  show(title, make("p", { role: "status" }, text), home());
  panel.prepend(document.getElementById("done").content.cloneNode(true));
}

async function menu() {
  const me = await api("GET", "/me");
  const list = make("ul", {}, ...Object.entries(FLOWS).map(([name, flow]) => make("li", {}, make("a", { href: `#${name}` }, flow.title))));
  const account = me.ok
    ? [make("p", { class: "otpverify-notice", role: "status" }, `You are signed in as ${me.body.user}, with the number ${me.body.phone}.`)]
    : [];
  const out = make("button", { class: "otpverify-second", click: async () => { await api("POST", "/sign-out", {}); menu(); } }, "Sign out");
  show("otpverify with FastAPI", ...account, list, ...(me.ok ? [out] : []));
}

async function open() {
  const name = location.hash.slice(1);
  if (!Object.hasOwn(FLOWS, name)) return menu();
  const status = await api("GET", `${FLOWS[name].at}/status`);
  return status.ok ? next(name, status) : first(name);
}

addEventListener("hashchange", open);
open();
