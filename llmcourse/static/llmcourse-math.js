// A formula that is wider than its column scrolls, so the keyboard must reach it. In a line, a
// formula keeps the comma or bracket beside it: a browser may break the line between them.
(() => {
  const before = /[([‘“]$/;
  const after = /^[-–]?[,.;:!?)\]’”%]+/;
  const bind = () => {
    for (const formula of document.querySelectorAll("span.math")) {
      const [left, right] = [formula.previousSibling, formula.nextSibling];
      const opens = left?.nodeType === Node.TEXT_NODE ? before.exec(left.data)?.[0] : "";
      const closes = right?.nodeType === Node.TEXT_NODE ? after.exec(right.data)?.[0] : "";
      if (!opens && !closes) continue;
      const held = document.createElement("span");
      held.style.whiteSpace = "nowrap";
      formula.replaceWith(held);
      held.append(formula);
      if (opens) {
        left.data = left.data.slice(0, -opens.length);
        held.prepend(opens);
      }
      if (closes) {
        right.data = right.data.slice(closes.length);
        held.append(closes);
      }
    }
  };
  const reach = () => {
    for (const formula of document.querySelectorAll('mjx-container[display="true"]')) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    }
  };
  addEventListener("load", async () => {
    const drawn = window.MathJax?.startup?.promise;
    if (!drawn) return;
    await drawn;
    bind();
    reach();
    document.fonts?.ready.then(reach);
    addEventListener("resize", reach);
  });
})();
