"use strict";

// The server writes each message's HTML, escaped. This script fetches the page again whenever
// something changes and moves the new messages over; it never builds HTML from text.
(() => {
  const list = document.getElementById("messages");
  const count = document.getElementById("count");
  const noun = document.getElementById("noun");
  const state = document.getElementById("state");
  const clear = document.getElementById("clear");
  const announce = document.getElementById("announce");
  const none = document.getElementById("none");
  let fetching = false;
  let clearing = false;
  let stale = false;

  function showState(live) {
    const text = live ? "Live" : "Reconnecting";
    state.classList.toggle("live", live);
    if (state.textContent !== text) state.textContent = text;
  }

  function showTotals() {
    noun.textContent = count.textContent === "1" ? "message" : "messages";
    clear.disabled = list.children.length === 0;
  }

  function showLocalTimes(root) {
    for (const time of root.querySelectorAll("time")) {
      const at = new Date(time.dateTime);
      time.textContent = at.toLocaleTimeString([], { hour12: false });
      time.title = at.toLocaleString();
    }
  }

  function apply(page) {
    const fresh = [...page.querySelectorAll("#messages > li")];
    const kept = new Set(fresh.map((item) => item.id));
    for (const item of [...list.children]) if (!kept.has(item.id)) item.remove();
    for (const item of fresh) {
      const shown = document.getElementById(item.id);
      if (shown && shown.dataset.reported !== item.dataset.reported) {
        // Only the facts: the focus may be on the message's button.
        shown.dataset.reported = item.dataset.reported;
        shown.querySelector(".facts").replaceWith(item.querySelector(".facts"));
      }
    }
    const added = fresh.filter((item) => !document.getElementById(item.id));
    for (const item of added) {
      item.classList.add("new");
      showLocalTimes(item);
    }
    list.prepend(...added);
    count.textContent = page.getElementById("count").textContent;
    if (list.children.length === 0) {
      announce.textContent = "";
      // The button is about to be disabled, which would leave the focus nowhere.
      if (clearing) none.focus();
    }
    clearing = false;
    showTotals();
    if (added.length) {
      const code = added[0].querySelector(".code");
      const to = added[0].querySelector(".to").textContent;
      announce.textContent = `New message to ${to}` + (code ? `, code ${code.dataset.code}` : "");
    }
  }

  async function refresh() {
    stale = true;
    if (fetching) return;
    fetching = true;
    try {
      while (stale) {
        stale = false;
        const reply = await fetch(location.pathname + location.search, { cache: "no-store" });
        if (!reply.ok) throw new Error(String(reply.status));
        apply(new DOMParser().parseFromString(await reply.text(), "text/html"));
      }
      showState(true);
    } catch {
      showState(false);
      setTimeout(refresh, 2000);
    } finally {
      fetching = false;
    }
  }

  function listen() {
    const events = new EventSource("/events");
    events.addEventListener("outbox", refresh);
    events.onerror = () => {
      showState(false);
      if (events.readyState === EventSource.CLOSED) setTimeout(listen, 2000);
    };
  }

  async function copy(button) {
    const hint = button.querySelector(".hint");
    try {
      await navigator.clipboard.writeText(button.dataset.code);
      hint.textContent = "Copied";
      announce.textContent = "Code copied";
    } catch {
      // Frames and plain http hosts may have no clipboard: leave the code selected.
      getSelection().selectAllChildren(button.querySelector(".digits"));
      hint.textContent = document.execCommand("copy") ? "Copied" : "Selected";
    }
    setTimeout(() => { hint.textContent = "Copy"; }, 1500);
  }

  list.addEventListener("click", (event) => {
    const button = event.target.closest(".code");
    if (button) copy(button);
  });
  clear.addEventListener("click", async () => {
    clearing = true;
    try {
      await fetch("/messages", { method: "DELETE" });
      await refresh();
    } catch {
      clearing = false;
      showState(false);
    }
  });

  document.documentElement.classList.add("scripted");
  clear.hidden = state.hidden = false;
  showLocalTimes(document);
  showTotals();
  listen();
})();
