// A formula that is wider than its column scrolls, so the keyboard must reach it. In a line, a
// formula keeps the comma or bracket beside it: a browser may break the line between them. And a
// number keeps its per cent sign.
(() => {
  const percent = () => {
    const walk = document.createTreeWalker(document.querySelector("article") ?? document.body, 4);
    for (let text = walk.nextNode(); text; text = walk.nextNode()) {
      if (!/\d %/.test(text.data) || text.parentElement.closest("pre, code, script, svg")) continue;
      text.data = text.data.replace(/(\d) (?=%)/g, "$1\u202f");
    }
  };
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
    percent();
    const drawn = window.MathJax?.startup?.promise;
    if (!drawn) return;
    await drawn;
    bind();
    reach();
    document.fonts?.ready.then(reach);
    addEventListener("resize", reach);
  });
})();
