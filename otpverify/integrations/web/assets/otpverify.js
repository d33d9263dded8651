"use strict";

// Counts waits down and keeps forms from being sent twice. Without it everything works, too: the
// server says how long to wait. It needs no inline script, speaks the language of the page
// (`<html lang>`), and follows pages whose content is swapped, such as by htmx.
//
//   <button data-wait="45">          disabled for so many seconds, which it shows: "(0:45)"
//   <span data-wait="45">            inside a role="alert": words such as "in 45 seconds"
//   <form data-sending="Sending...">  what its buttons say while it is being sent
//   <form data-otpverify="off">      is left alone

(() => {
  const RELEASE_MS = 5000; // longer than the gateway may take
  const labels = new WeakMap(); // a button's own words
  const prepared = new WeakSet();

  // "in 45 seconds"; at the end "now".
  function words(left) {
    const options = { numeric: "auto" };
    let format;
    try {
      format = new Intl.RelativeTimeFormat(document.documentElement.lang || "en", options);
    } catch {
      format = new Intl.RelativeTimeFormat("en", options); // the page's language is no such tag
    }
    if (left < 120) return format.format(left, "second");
    if (left < 7200) return format.format(Math.ceil(left / 60), "minute");
    return format.format(Math.ceil(left / 3600), "hour");
  }

  // "0:45", "12:05", "1:02:05".
  function clock(left) {
    const pad = (value) => String(value).padStart(2, "0");
    const minutes = Math.floor(left / 60) % 60;
    const hours = Math.floor(left / 3600);
    return `${hours ? `${hours}:${pad(minutes)}` : minutes}:${pad(left % 60)}`;
  }

  // Deadlines are absolute, so that a sleeping tab does not lag.
  function countDown(element, show) {
    const deadline = Date.now() + Number(element.dataset.wait) * 1000;
    const tick = () => {
      if (!element.isConnected) return;
      const left = Math.max(0, Math.ceil((deadline - Date.now()) / 1000));
      show(left);
      if (left > 0) setTimeout(tick, 250);
    };
    tick();
  }

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

  function prepare() {
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
