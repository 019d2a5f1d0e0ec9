/* SPDX-License-Identifier: MIT */
/* Comfort only: everything on the page can be read without this. */
(function () {
  "use strict";
  var root = document.documentElement;

  /* Light and dark. */
  var button = document.getElementById("theme");
  function dark() {
    var set = root.getAttribute("data-theme");
    if (set) return set === "dark";
    return window.matchMedia("(prefers-color-scheme: dark)").matches;
  }
  function remember(theme) {
    try { localStorage.setItem("mohs-theme", theme); } catch (e) { /* none */ }
  }
  try {
    var kept = localStorage.getItem("mohs-theme");
    if (kept === "dark" || kept === "light") root.setAttribute("data-theme", kept);
  } catch (e) { /* a file without storage */ }
  button.hidden = false;
  button.addEventListener("click", function () {
    var theme = dark() ? "light" : "dark";
    root.setAttribute("data-theme", theme);
    remember(theme);
  });

  /* Sorting by a click on a head. */
  function shown(cell) {
    var spans = cell.querySelectorAll(":scope > .v");
    for (var i = 0; i < spans.length; i++)
      if (getComputedStyle(spans[i]).display !== "none") return spans[i];
    return cell;
  }
  function key(row, column) {
    var cell = row.cells[column], e = shown(cell);
    var n = e.getAttribute("data-v");
    if (n === null) {
      var text = cell.textContent.trim();
      return text !== "" && !isNaN(text) ? Number(text) : text;
    }
    return Number(n);
  }
  function sort(table, column, down) {
    var body = table.tBodies[0], rows = Array.prototype.slice.call(body.rows);
    var keyed = rows.map(function (r, i) { return [key(r, column), i, r]; });
    keyed.sort(function (a, b) {
      var x = a[0], y = b[0], o;
      if (typeof x === "number" && typeof y === "number") o = x - y;
      else o = String(x).localeCompare(String(y), undefined, { numeric: true });
      return (down ? -o : o) || a[1] - b[1];
    });
    keyed.forEach(function (k) { body.appendChild(k[2]); });
  }
  document.querySelectorAll("table.sort").forEach(function (table) {
    var heads = table.tHead.rows[0].cells;
    Array.prototype.forEach.call(heads, function (head, column) {
      var b = document.createElement("button");
      b.type = "button";
      while (head.firstChild) b.appendChild(head.firstChild);
      head.appendChild(b);
      b.addEventListener("click", function () {
        var down = head.getAttribute("aria-sort") === "ascending";
        if (!head.hasAttribute("aria-sort") && head.classList.contains("n"))
          down = true;
        Array.prototype.forEach.call(heads, function (h) {
          h.removeAttribute("aria-sort");
        });
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        sort(table, column, down);
      });
    });
  });

  /* A filter over long tables. */
  document.querySelectorAll("table.filter").forEach(function (table) {
    var input = document.createElement("input");
    input.type = "search";
    input.className = "find";
    input.placeholder = "filter rows";
    input.setAttribute("aria-label", "filter rows");
    table.parentNode.parentNode.insertBefore(input, table.parentNode);
    input.addEventListener("input", function () {
      var words = input.value.toLowerCase().split(/\s+/);
      Array.prototype.forEach.call(table.tBodies[0].rows, function (row) {
        var text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (w) { return text.indexOf(w) >= 0; });
      });
    });
  });

  /* Folded parts are printed too. */
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("#pictures details").forEach(function (d) {
      d.open = true;
    });
  });
})();
