'use strict';

/* Sorts the table of scores: a column's header sorts the clips, a row's header the systems. */

function startSorting(table) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const lines = [...table.rows];
  const columns = [...table.tHead.rows[1].cells];
  columns.forEach((header) => {
    header.querySelector('button').addEventListener('click', () => {
      const column = columnOf(header);
      sortRows(body, rows, nextOrder(table, header, 'col'), (row) => numberOf(column(row)));
    });
  });
  const corner = table.tHead.rows[0].cells[0];
  corner.querySelector('button').addEventListener('click', () => {
    sortRows(body, rows, nextOrder(table, corner, 'col'), (row) => row.cells[0].textContent);
  });
  table.querySelectorAll('th[scope=row]').forEach((header) => {
    header.querySelector('button').addEventListener('click', () => {
      sortGroups(lines, header, nextOrder(table, header, 'row'));
    });
  });
}

/* A function that finds the header's cell in a row of clips, wherever the systems have been moved to. */
function columnOf(header) {
  const group = header.dataset.group;
  const place = [...header.parentElement.querySelectorAll(`[data-group="${group}"]`)].indexOf(header);
  return (row) => row.querySelectorAll(`[data-group="${group}"]`)[place];
}

function numberOf(cell) {
  return cell && cell.dataset.value !== undefined ? readNumber(cell.dataset.value) : null;
}

/* Python writes "inf" and "nan"; what is not a number has no place in an order. */
function readNumber(text) {
  const value = Number(text.replace('inf', 'Infinity'));
  return Number.isNaN(value) ? null : value;
}

/* Best first, worst first, as it was: in this turn. Names begin with the first. */
function nextOrder(table, header, kind) {
  const best = header.dataset.better === 'higher' ? 'descending' : 'ascending';
  const worst = best === 'ascending' ? 'descending' : 'ascending';
  const before = header.getAttribute('aria-sort');
  const next = !before ? best : before === best ? worst : null;
  const headers = kind === 'row' ? 'th[scope=row]' : 'thead th';
  table.querySelectorAll(headers).forEach((other) => other.removeAttribute('aria-sort'));
  if (next) header.setAttribute('aria-sort', next);
  return next;
}

function sortRows(body, rows, order, keyOf) {
  const sorted = order ? inOrder(rows, keyOf, order) : rows;
  body.append(...sorted);
}

function sortGroups(lines, header, order) {
  const line = header.parentElement;
  const first = new Map();
  line.querySelectorAll('[data-group]').forEach((cell) => {
    if (!first.has(cell.dataset.group)) first.set(cell.dataset.group, cell);
  });
  const groups = [...first.keys()].sort((one, other) => one - other);
  const sorted = order ? inOrder(groups, (group) => numberOf(first.get(group)), order) : groups;
  lines.forEach((row) => {
    const cells = sorted.flatMap((group) => [...row.querySelectorAll(`[data-group="${group}"]`)]);
    row.append(...cells);
  });
}

/* Sorted by keys, numbers by value and names naturally; what has no key comes last in either order. */
function inOrder(items, keyOf, order) {
  const sign = order === 'ascending' ? 1 : -1;
  const keyed = items.map((item) => [keyOf(item), item]);
  const compare = ([one], [other]) => {
    if (one === null || other === null) return (one === null) - (other === null);
    if (typeof one === 'string') return sign * one.localeCompare(other, undefined, { numeric: true });
    return one === other ? 0 : sign * (one < other ? -1 : 1);
  };
  return keyed.sort(compare).map(([, item]) => item);
}

startSorting(document.getElementById('scores'));
