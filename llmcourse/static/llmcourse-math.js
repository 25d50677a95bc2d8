// A formula that is wider than its column scrolls, so the keyboard must reach it.
(() => {
  const reach = () => {
    for (const formula of document.querySelectorAll('mjx-container[display="true"]')) {
      if (formula.scrollWidth > formula.clientWidth) formula.tabIndex = 0;
    }
  };
  addEventListener("load", async () => {
    const drawn = window.MathJax?.startup?.promise;
    if (!drawn) return;
    await drawn;
    reach();
    document.fonts?.ready.then(reach);
    addEventListener("resize", reach);
  });
})();
