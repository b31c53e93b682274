"use strict";
(() => {
  const seconds = Number(document.documentElement.dataset.refresh);
  if (!seconds) return;
  const stale = document.getElementById("stale");
  const sections = (root) => new Map([...root.querySelectorAll("[data-live]")].map((e) => [e.id, e]));
  let last = new Date();

  // replace puts new content into what is there, and keeps what the reader has
  // opened, scrolled and focused.
  const replace = (fresh) => {
    const now = sections(document), next = sections(fresh);
    if ([...now.keys()].join() !== [...next.keys()].join()) return location.reload();
    const open = new Set([...document.querySelectorAll("details[open]")].map((e) => e.id));
    const focused = document.activeElement && document.activeElement.closest("[data-live]");
    const steps = focused ? path(document.activeElement, focused) : null;
    for (const [id, element] of now) {
      const { scrollLeft, scrollTop } = element;
      element.replaceChildren(...next.get(id).childNodes);
      element.scrollLeft = scrollLeft;
      element.scrollTop = scrollTop;
    }
    for (const id of open) {
      const details = document.getElementById(id);
      if (details) details.open = true;
    }
    if (steps) {
      const target = steps.id ? document.getElementById(steps.id)?.querySelector("summary") : focused.querySelectorAll("a, summary")[steps.at];
      if (target) target.focus({ preventScroll: true });
    }
    document.title = fresh.title;
    const icon = document.querySelector("link[rel=icon]"), nextIcon = fresh.querySelector("link[rel=icon]");
    if (icon && nextIcon && icon.href !== nextIcon.href) icon.href = nextIcon.href;
  };
  const path = (element, section) => ({
    id: element.closest("details")?.id,
    at: [...section.querySelectorAll("a, summary")].indexOf(element),
  });
  const reading = () => {
    const s = getSelection();
    return s && !s.isCollapsed;
  };
  const refresh = async () => {
    if (document.hidden || reading()) return;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(10000) });
      if (!answer.ok) throw new Error();
      replace(new DOMParser().parseFromString(await answer.text(), "text/html"));
      last = new Date();
      stale.hidden = true;
    } catch {
      stale.textContent = "Not refreshed since " + last.toLocaleTimeString() + ": the program does not answer.";
      stale.hidden = false;
    }
  };
  const loop = async () => {
    await refresh();
    setTimeout(loop, seconds * 1000);
  };
  setTimeout(loop, seconds * 1000);
  document.addEventListener("visibilitychange", refresh);
})();
