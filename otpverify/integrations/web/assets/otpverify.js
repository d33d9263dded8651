"use strict";

// Counts waits down, keeps forms from being sent twice, takes the code out of a pasted message or out
// of the SMS itself, sends it when it is complete, ends a wait early when the message was not
// delivered, and helps to type a phone number. Without it everything works, too: the server says how
// long to wait, and reads codes and numbers as well. It needs no inline script, speaks the language
// of the page (`<html lang>`), and follows pages whose content is swapped, such as by htmx.
//
//   <button data-wait="45">          disabled for so many seconds, which it shows: "(0:45)"
//   <button data-wait="45" data-status="/phone/status">
//                                    asks this address (the flow's state as JSON) for a shorter wait
//   <p data-undelivered hidden>      is shown when a delivery report says so
//   <input autocomplete="one-time-code" data-length="6">
//                                    takes a code of so many digits out of a pasted message, and
//                                    sends its form at the last digit, once
//   <p id="..." data-code-sends hidden>  inside that form: says so, and is shown where it is so
//   <input type="tel" data-countries="/otpverify-countries.json" data-region="EE"
//          data-country="Country" data-no-country="No country found.">
//                                    gets a list of countries, and groups digits as one types; the
//                                    region is that of numbers without a country code
//   <span data-wait="45">            inside a role="alert": words such as "in 45 seconds"
//   <form data-sending="Sending...">  what its buttons say while it is being sent
//   <form data-otpverify="off">      is left alone

(() => {
  const RELEASE_MS = 5000; // longer than the gateway may take
  const FIRST_LOOK_MS = 2000; // for delivery reports; then ever less often
  const FAILED = ["undelivered", "rejected", "expired", "failed"];
  const labels = new WeakMap(); // a button's own words
  const deadlines = new WeakMap(); // absolute, so that a sleeping tab does not lag
  const prepared = new WeakSet();

  // One of the browser's formats, in the page's language and with the digits of its texts.
  function intl(Format, options) {
    const tag = document.documentElement.lang || "en";
    const digits = /^fa\b/i.test(tag) ? "arabext" : "latn"; // as `languages.translated` has it
    try {
      return new Format(`${tag}-u-nu-${digits}`, options);
    } catch {
      return new Format("en", options); // the page's language is no such tag
    }
  }

  // "in 45 seconds"; at the end "now".
  function words(left) {
    const format = intl(Intl.RelativeTimeFormat, { numeric: "auto" });
    if (left < 120) return format.format(left, "second");
    if (left < 7200) return format.format(Math.ceil(left / 60), "minute");
    if (left < 172800) return format.format(Math.ceil(left / 3600), "hour");
    return format.format(Math.ceil(left / 86400), "day");
  }

  // "0:45", "12:05", "1:02:05".
  function clock(left) {
    const one = intl(Intl.NumberFormat, { useGrouping: false });
    const two = intl(Intl.NumberFormat, { useGrouping: false, minimumIntegerDigits: 2 });
    const minutes = Math.floor(left / 60) % 60;
    const hours = Math.floor(left / 3600);
    const begin = hours ? `${one.format(hours)}:${two.format(minutes)}` : one.format(minutes);
    return `${begin}:${two.format(left % 60)}`;
  }

  function secondsLeft(element) {
    return Math.max(0, Math.ceil((deadlines.get(element) - Date.now()) / 1000));
  }

  function countDown(element, show) {
    deadlines.set(element, Date.now() + Number(element.dataset.wait) * 1000);
    const tick = () => {
      if (!element.isConnected) return;
      const left = secondsLeft(element);
      show(left);
      if (left > 0) setTimeout(tick, 250);
    };
    tick();
  }

  // A message that was not delivered may be sent again at once; reports come after the page.
  function watchDelivery(button, pause = FIRST_LOOK_MS) {
    setTimeout(async () => {
      const left = secondsLeft(button);
      if (!button.isConnected || left === 0) return;
      if (document.visibilityState === "visible") {
        try {
          const reply = await fetch(button.dataset.status, { cache: "no-store" });
          const found = reply.ok ? await reply.json() : {};
          if (found.resend_in < left) {
            deadlines.set(button, Date.now() + found.resend_in * 1000);
          }
          if (FAILED.includes(found.delivery)) {
            for (const notice of document.querySelectorAll("[data-undelivered]")) {
              notice.setAttribute("role", "alert");
              notice.hidden = false;
            }
          }
          const ended = found.state && found.state !== "pending";
          if (ended || [...FAILED, "delivered"].includes(found.delivery)) return;
        } catch {
          // The network is away; the countdown goes on.
        }
      }
      watchDelivery(button, pause * 1.5);
    }, pause);
  }

  // The code in a pasted message, as the server takes it out (`sentences.code_in`); otherwise null.
  function codeIn(text, length) {
    if (!/\p{L}/u.test(text)) return null;
    const line = new RegExp(`@\\S+ #(\\p{Nd}{${length}})\\s*$`, "u").exec(text);
    if (line) return line[1];
    const half = Math.floor(length / 2);
    const parted = `\\p{Nd}{${half}}[ -]\\p{Nd}{${length - half}}`;
    // Messages quote what is not theirs, so a number outside of quotes goes first.
    for (const part of [text.replace(/"[^"]*"/g, '""'), text]) {
      for (const digits of [`\\p{Nd}{${length}}`, parted]) {
        const alone = `(?<!\\p{Nd})(?<!\\p{Nd}[.,])(${digits})(?![.,]?\\p{Nd})`;
        const found = new Set([...part.matchAll(new RegExp(alone, "gu"))].map((match) => match[1]));
        if (found.size === 1) return [...found][0];
      }
    }
    return null;
  }
  document.addEventListener("paste", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLInputElement) || field.autocomplete !== "one-time-code") return;
    if (!(field.dataset.length > 0) || !isOurs(field.form)) return;
    const code = codeIn(event.clipboardData?.getData("text") ?? "", Number(field.dataset.length));
    if (code === null) return;
    event.preventDefault();
    field.value = code;
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });

  // The wait is for what was sent before; another number need not wait for it.
  function isEdited(form) {
    return [...form.elements].some(
      (field) =>
        field.type !== "hidden" && field.defaultValue && field.value !== field.defaultValue,
    );
  }

  function label(button) {
    if (!labels.has(button)) labels.set(button, button.textContent);
    return labels.get(button);
  }

  function isOurs(form) {
    return form instanceof HTMLFormElement && form.dataset.otpverify !== "off";
  }

  // The form of a code is sent at the code's last digit, once for each page. On a page that one went
  // back to, the button alone sends it: its code was refused, or was right already. So it does where
  // the form has a choice, such as to remember the browser.
  const wentBack = performance.getEntriesByType("navigation")[0]?.type === "back_forward";
  const sentByDigits = new WeakSet(); // fields
  function sendsItself(field) {
    if (wentBack || sentByDigits.has(field) || !(field.dataset.length > 0)) return false;
    return isOurs(field.form) && !field.form.querySelector('input[type="checkbox"]');
  }
  document.addEventListener("input", (event) => {
    const field = event.target;
    if (!(field instanceof HTMLInputElement) || field.autocomplete !== "one-time-code") return;
    if (event.isComposing || !sendsItself(field)) return;
    const digits = new RegExp(`^\\p{Nd}{${field.dataset.length}}$`, "u");
    if (!digits.test(field.value.replace(/[\s-]/g, ""))) return;
    sentByDigits.add(field);
    const form = field.form;
    if (form.reportValidity()) form.requestSubmit(form.querySelector("button"));
  });

  // The code out of the SMS, where the browser reads it (WebOTP). The page must not wait for an SMS
  // any more once its form is sent or has gone.
  let waiting = null; // {field, controller}
  async function readMessage(field) {
    if (!("OTPCredential" in window) || waiting?.field === field) return;
    stopReading();
    const controller = new AbortController();
    waiting = { field, controller };
    try {
      const found = await navigator.credentials.get({
        otp: { transport: ["sms"] },
        signal: controller.signal,
      });
      if (found?.code && field.isConnected && !field.value) {
        field.value = found.code;
        field.dispatchEvent(new Event("input", { bubbles: true }));
      }
    } catch {
      // It was stopped, or the person or the browser does not want it: the code can be typed.
    }
  }
  function stopReading() {
    waiting?.controller.abort();
    waiting = null;
  }

  function prepareCode(field) {
    const hint = field.form.querySelector("[data-code-sends]");
    if (hint && sendsItself(field)) {
      hint.hidden = false;
      const described = field.getAttribute("aria-describedby") ?? "";
      field.setAttribute("aria-describedby", `${described} ${hint.id}`.trim());
    }
    readMessage(field);
  }

  // The phone field. Its text alone is sent, so it always says all: a country that is not the site's
  // own is in it as a calling code.
  const plans = new Map(); // by address: what otpverify-countries.json holds, or will hold

  function numberingPlans(address) {
    if (!plans.has(address)) {
      const found = fetch(address).then(async (reply) => {
        if (!reply.ok) throw new Error(`${reply.status} at ${address}`);
        const { plans: known, starts } = await reply.json();
        const codes = new Map();
        const byRegion = new Map();
        for (const [code, [regions, trunk, ...ways]] of Object.entries(known)) {
          codes.set(code, { code, regions: regions.split(" "), trunk, ways });
          for (const region of regions.split(" ")) byRegion.set(region, codes.get(code));
        }
        return { codes, byRegion, starts };
      });
      found.catch(() => plans.delete(address)); // the next page may try again
      plans.set(address, found);
    }
    return plans.get(address);
  }

  // "5678 9045" for "56789045": as that country writes it; `null` for digits that fit no way.
  function grouped(plan, digits) {
    let begun = null;
    for (const way of plan.ways) {
      const [shape, start] = way.split(/=(.*)/s);
      if (start && !new RegExp(`^(?:${start})`).test(digits)) continue;
      const whole = new RegExp(`^${shape.replace(/[\d,]+|[^\d,]+/g, (part) =>
        /\d/.test(part) ? `(\\d{${part}})` : "")}$`);
      const between = shape.split(/[\d,]+/).slice(1, -1);
      const join = (groups) =>
        groups.reduce((text, group, nth) => (nth && group ? text + between[nth - 1] : text) + group);
      const found = whole.exec(digits);
      if (found) return join(found.slice(1));
      const sizes = shape.match(/[\d,]+/g).map((size) => Number(size.split(",").at(-1)));
      if (begun === null && digits.length < sizes.reduce((sum, size) => sum + size)) {
        let at = 0;
        begun = join(sizes.map((size) => digits.slice(at, (at += size))));
      }
    }
    return begun;
  }

  // A number in a field, as far as it is typed: its country, and how it is written. `null` for what
  // is written in another way, which the server reads as it is.
  function readNumber(data, typed, region, home) {
    if (!/^[\d+ ().\/-]*$/.test(typed) || /.\+/.test(typed.trim())) return null;
    let digits = typed.replace(/\D/g, "");
    const plus = typed.includes("+");
    let plan = data.byRegion.get(region);
    if (plus) {
      const code = [1, 2, 3].map((length) => digits.slice(0, length)).find((c) => data.codes.has(c));
      plan = data.codes.get(code);
      if (!plan) return { region, text: typed };
      digits = digits.slice(code.length);
    } else if (!plan || !digits) {
      return { region, text: typed };
    }
    const abroad = plus || plan !== data.byRegion.get(home);
    let trunk = "";
    if (plan.trunk.startsWith("0") && digits.startsWith(plan.trunk)) {
      trunk = abroad ? "" : plan.trunk;
      digits = digits.slice(plan.trunk.length);
    }
    const fits = (one) => new RegExp(`^(?:${data.starts[one]})`).test(digits);
    const ours = plan.regions.includes(region) && (!data.starts[region] || fits(region));
    const other = plan.regions.find((one) => data.starts[one] && fits(one));
    const found = digits ? grouped(plan, digits) : "";
    let text = found === null ? typed : trunk + found;
    if (abroad) text = `+${plan.code}${digits || / $/.test(typed) ? " " : ""}${found ?? digits}`;
    return { region: other ?? (ours ? region : plan.regions[0]), text };
  }

  async function offerCountries(field) {
    let data;
    try {
      data = await numberingPlans(field.dataset.countries);
    } catch {
      return; // the field takes a number in any spelling
    }
    if (!field.isConnected) return;
    const home = data.byRegion.has(field.dataset.region) ? field.dataset.region : "";
    const picker = countryPicker(field, data, (region) => {
      // The same number, of another country; the field says so unless it is the site's own.
      const found = readNumber(data, field.value, picker.region, home);
      const plan = data.byRegion.get(region);
      const before = found && /^\+/.test(found.text) ? found.text.replace(/^\+\d*/, "") : null;
      const digits = (before ?? found?.text ?? "").replace(/\D/g, "");
      picker.show(region);
      const abroad = plan !== data.byRegion.get(home);
      const again = readNumber(data, abroad ? `+${plan.code} ${digits}` : digits, region, home);
      field.value = again ? again.text : field.value;
    });
    const follow = (change) => {
      const found = readNumber(data, field.value, picker.region, home);
      if (!found) return;
      if (found.region !== picker.region) picker.show(found.region);
      if (!change || found.text === field.value) return;
      // The caret stays behind the same digit.
      const digits = field.value.slice(0, field.selectionStart).replace(/[^\d+]/g, "").length;
      const fromEnd = field.value.replace(/[^\d+]/g, "").length - digits;
      field.value = found.text;
      let at = found.text.length;
      for (let left = fromEnd; left > 0; at -= 1) if (/[\d+]/.test(found.text[at - 1])) left -= 1;
      if (document.activeElement === field) field.setSelectionRange(at, at);
    };
    field.addEventListener("input", (event) => {
      if (!event.isComposing) follow(true);
    });
    picker.show(home);
    follow(false); // what is filled in again stays as it was typed
  }

  // A field with a list (a combobox, by WAI-ARIA's pattern), above the phone field.
  function countryPicker(field, data, choose) {
    const tag = document.documentElement.lang || "en";
    const names = intl(Intl.DisplayNames, { type: "region" });
    const english = new Intl.DisplayNames("en", { type: "region" });
    const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
    const code = (region) => `\u2066+${data.byRegion.get(region).code}\u2069`; // from left to right
    const countries = [...data.byRegion.keys()].map((region) => {
      const name = names.of(region) ?? region;
      const number = data.byRegion.get(region).code;
      const words = plain(`${name} ${english.of(region)} ${region}`);
      return { region, name, words, number, label: `${name} (${code(region)})` };
    });
    const { compare } = new Intl.Collator(tag.replace("_", "-"));
    countries.sort((one, other) => compare(one.name, other.name));

    const make = (name, attributes) => {
      const element = document.createElement(name);
      for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
      return element;
    };
    const id = `${field.id}-country`;
    document.getElementById(`${id}-box`)?.remove(); // of a page out of htmx's history
    const box = make("div", { class: "otpverify-country", id: `${id}-box` });
    const title = make("label", { for: id });
    title.textContent = field.dataset.country;
    const input = make("input", {
      id,
      type: "text",
      role: "combobox",
      autocomplete: "off",
      autocapitalize: "none",
      spellcheck: "false",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": `${id}-list`,
    });
    const list = make("ul", { id: `${id}-list`, role: "listbox", hidden: "" });
    list.setAttribute("aria-label", field.dataset.country);
    const none = make("p", { class: "otpverify-hint", role: "status" });
    box.append(title, input, list, none);
    const ownLabel = field.labels[0];
    (ownLabel && !ownLabel.contains(field) ? ownLabel : field).before(box);

    const picker = {
      region: "",
      show(region) {
        picker.region = region;
        input.value = countries.find((country) => country.region === region)?.label ?? "";
      },
    };
    let active = -1;
    const isOpen = () => input.getAttribute("aria-expanded") === "true";
    const close = () => {
      list.hidden = true;
      input.setAttribute("aria-expanded", "false");
      input.removeAttribute("aria-activedescendant");
      none.textContent = "";
      active = -1;
    };
    const mark = (nth) => {
      list.children[active]?.setAttribute("aria-selected", "false");
      active = nth;
      const option = list.children[nth];
      if (!option) {
        input.removeAttribute("aria-activedescendant");
        return;
      }
      option.setAttribute("aria-selected", "true");
      input.setAttribute("aria-activedescendant", option.id);
      option.scrollIntoView({ block: "nearest" });
    };
    const open = (wanted) => {
      const typed = plain(wanted).trim();
      const digits = typed.replace(/^(\+|00)?(\d+)$/, "$2");
      const found = countries.filter(({ words, number }) =>
        /^\d+$/.test(digits)
          ? number.startsWith(digits)
          : words.split(" ").some((_, nth, all) => all.slice(nth).join(" ").startsWith(typed)),
      );
      // First what begins so, then what has a later word that does.
      const whole = ({ words, number }) => number === digits || words.startsWith(typed);
      found.sort((one, other) => whole(other) - whole(one));
      list.replaceChildren(
        ...found.map((country) => {
          const option = make("li", {
            id: `${id}-${country.region}`,
            role: "option",
            "aria-selected": "false",
            "data-region": country.region,
          });
          option.textContent = country.label;
          return option;
        }),
      );
      list.hidden = found.length === 0;
      input.setAttribute("aria-expanded", String(found.length > 0));
      none.textContent = found.length ? "" : field.dataset.noCountry;
      active = -1;
      mark(typed ? 0 : found.findIndex(({ region }) => region === picker.region));
    };
    const take = (option) => {
      close();
      choose(option.dataset.region);
      input.select();
    };
    input.addEventListener("focus", () => input.select());
    input.addEventListener("click", () => (isOpen() ? null : open("")));
    input.addEventListener("input", () => open(input.value));
    input.addEventListener("blur", () => {
      close();
      picker.show(picker.region);
    });
    list.addEventListener("mousedown", (event) => event.preventDefault()); // the focus stays
    list.addEventListener("click", (event) => {
      const option = event.target.closest("[role=option]");
      if (option) take(option);
    });
    input.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (step) {
        if (isOpen()) mark((active + step + list.children.length) % list.children.length);
        else open("");
      } else if (event.key === "Enter" && isOpen()) {
        if (list.children[active]) take(list.children[active]);
      } else if (event.key === "Escape" && (isOpen() || none.textContent)) {
        close();
        picker.show(picker.region);
        input.select();
      } else {
        return;
      }
      event.preventDefault();
    });
    return picker;
  }

  function prepare() {
    if (waiting && !waiting.field.isConnected) stopReading();
    for (const field of document.querySelectorAll("input[autocomplete=one-time-code]")) {
      if (prepared.has(field) || !isOurs(field.form)) continue;
      prepared.add(field);
      prepareCode(field);
    }
    for (const field of document.querySelectorAll("input[data-countries]")) {
      if (prepared.has(field) || !isOurs(field.form)) continue;
      prepared.add(field);
      offerCountries(field);
    }
    for (const element of document.querySelectorAll("[data-wait]")) {
      if (prepared.has(element)) continue;
      prepared.add(element);
      if (element.localName === "span") {
        // It was announced as it stands; every second once more would be too much.
        element.closest("[role]")?.setAttribute("aria-live", "off");
        countDown(element, (left) => {
          element.textContent = words(left);
        });
      } else if (isOurs(element.form)) {
        const own = label(element);
        countDown(element, (left) => {
          if (element.form?.dataset.sent) return;
          const waits = left > 0 && !isEdited(element.form);
          element.disabled = waits;
          element.textContent = waits ? `${own} (${clock(left)})` : own;
        });
        if (element.dataset.status) watchDelivery(element);
      }
    }
  }

  // A double click must not send a form twice. A submission that was stopped gives no sign, so the
  // form is free again after a while.
  function release(form) {
    if (!form.dataset.sent) return;
    clearTimeout(Number(form.dataset.sent));
    delete form.dataset.sent;
    form.removeAttribute("aria-busy");
    for (const button of form.querySelectorAll("button")) button.textContent = label(button);
  }
  document.addEventListener(
    "submit",
    (event) => {
      const form = event.target;
      if (!isOurs(form)) return;
      if (form.dataset.sent) {
        event.preventDefault();
        event.stopImmediatePropagation(); // also for scripts that send it themselves
        return;
      }
      form.dataset.sent = setTimeout(release, RELEASE_MS, form);
      form.setAttribute("aria-busy", "true");
      stopReading();
      const sending = form.dataset.sending || "Sending...";
      for (const button of form.querySelectorAll("button")) {
        label(button);
        button.textContent = sending;
      }
    },
    true,
  );
  addEventListener("pageshow", () => {
    for (const form of document.forms) release(form);
  });
  new MutationObserver(prepare).observe(document.documentElement, {
    childList: true,
    subtree: true,
  });
  prepare();
})();
