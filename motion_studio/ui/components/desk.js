// The mixer's desk as this page holds it: its changes, its history, and what Python's answers make of it.
// A desk is changed here at once, so that a knob waits for nothing. An answer holds the desk of when it was asked for:
// what was `done` here since is done to it, too. A desk that says nothing of what was done takes the place of all, and
// one that is `opened` is where undoing begins.
// read() and write(desk) reach the widget that holds it; titles() names the motions that are there; tell(event):
// input for any other desk, select where the knobs have others to show, release for a change to keep and preview.
window.motionStudio.openDesk = ({ read, write, titles, tell, blank, most }) => {
  const LATEST = 64; // changes that an answer can have missed
  const UNDO_STEPS = 50;
  let count = 0;
  let done = []; // [count, change]
  let seen = "";
  let history = []; // the last is what is held, once it is let go
  let future = []; // what was undone, the next to come last

  // A number box tells of what is typed, too: of nothing, and of more than its range holds.
  const clamp = (value, low, high) => (low === undefined ? value : Math.min(high, Math.max(low, value)));
  // Python's answers have their keys in another order.
  const sorted = (_, part) =>
    (part?.constructor === Object ? Object.fromEntries(Object.entries(part).sort()) : part);
  const written = (value) => JSON.stringify(value, sorted);
  const matters = ({ tracks, together, film }) => written([tracks, together, film]);
  const within = ({ tracks, selected }) => Math.min(Math.max(0, selected), Math.max(0, tracks.length - 1));
  const hold = ({ opened, ...desk }) => {
    const value = { ...desk, selected: within(desk), done: count };
    seen = written(value);
    write(value);
  };
  const remembered = (past, desk) =>
    (past.length && matters(past[past.length - 1]) === matters(desk) ? past : [...past, desk].slice(-UNDO_STEPS));
  const act = (change) => {
    done = [...done.slice(1 - LATEST), [++count, change]];
    hold(change(read()));
    tell("input");
  };
  const keep = (past) => {
    const longer = remembered(past, read());
    if (longer !== history) future = [];
    history = longer;
  };
  const release = () => {
    keep(history);
    tell("select"); // what was typed may not be what is held
    tell("release");
  };
  const receive = () => {
    if (written(read()) === seen) return;
    const { opened, done: then, ...left } = read();
    const since = done.filter(([number]) => number > (then ?? count));
    count = Math.max(count, then ?? 0);
    hold(since.reduce((desk, [, change]) => change(desk), read()));
    keep(opened ? [left] : history);
    tell("select");
    tell("input");
  };
  // Tracks are told by their place and motion: another may have come there by an answer.
  const change = (i, values) => {
    const { motion } = read().tracks[i];
    const changed = (track, n) => (n === i && track.motion === motion ? { ...track, ...values } : track);
    act((desk) => ({ ...desk, tracks: desk.tracks.map(changed) }));
  };
  const select = (i) => {
    if (read().selected === i) return;
    act((desk) => ({ ...desk, selected: i }));
    tell("select");
  };
  const settle = (change) => {
    act(change);
    release();
  };
  const remove = (i) => {
    const { motion } = read().tracks[i];
    settle((desk) => (desk.tracks[i]?.motion !== motion ? desk : { ...desk,
      tracks: desk.tracks.filter((_, n) => n !== i), selected: desk.selected - (desk.selected > i ? 1 : 0) }));
  };
  const add = (motion) => {
    if (read().tracks.length >= most) return false;
    settle((desk) => ({ ...desk, tracks: [...desk.tracks, { motion, ...blank }], selected: desk.tracks.length }));
    return true;
  };
  // Whether there was a change to take back, or to bring back; tracks whose motion was deleted are none.
  const here = (desk) => ({ ...desk, tracks: desk.tracks.filter(({ motion }) => motion in titles()) });
  const undo = () => {
    keep(history);
    const past = history.map(here).reduce((desks, desk) => remembered(desks, desk), []);
    if (past.length < 2) return false;
    const [before, undone] = past.slice(-2);
    const next = [...future, undone];
    history = past.slice(0, -1);
    settle(() => before);
    future = next;
    return true;
  };
  const redo = () => {
    while (future.length) {
      const [next, left] = [here(future[future.length - 1]), future.slice(0, -1)];
      const differs = matters(next) !== matters(read());
      if (differs) settle(() => next);
      future = left;
      if (differs) return true;
    }
    return false;
  };
  return {
    receive, change, select, remove, add, undo, redo, release,
    turn: (key, value, ...range) => {
      if (read().tracks.length && value != null) change(read().selected, { [key]: clamp(value, ...range) });
    },
    film: (key, value, ...range) => {
      if (value != null) act((desk) => ({ ...desk, film: { ...desk.film, [key]: clamp(value, ...range) } }));
    },
    set: (key, value) => act((desk) => ({ ...desk, [key]: value })),
    // What the other widgets show: of the chosen track the knobs, of the desk the law and the camera.
    shown: (knobs, film) => {
      const { tracks, selected, ...desk } = read();
      const track = tracks[selected] ?? blank;
      return [...knobs.map((key) => track[key]), desk.together, ...film.map((key) => desk.film[key])];
    },
  };
};
