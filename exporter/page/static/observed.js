// A value that several parts of the page show: whoever uses it is drawn anew when it is set.

import { useEffect, useReducer } from "./preact.standalone.module.js";

export class Observed {
  constructor(value) {
    this.value = value;
    this.listeners = new Set();
  }

  set(value) {
    if (value === this.value) return;
    this.value = value;
    for (const listener of this.listeners) listener();
  }

  /** Returns the value, to a component while it is drawn. */
  use() {
    const [, redraw] = useReducer((n) => n + 1, 0);
    useEffect(() => {
      this.listeners.add(redraw);
      return () => this.listeners.delete(redraw);
    }, [this]);
    return this.value;
  }
}
