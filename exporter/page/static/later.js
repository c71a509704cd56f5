// A view whose module is loaded when somebody goes there: the first visit of the page transfers the overview alone.

import { html, useEffect, useReducer, useState } from "./preact.standalone.module.js";
import { Waiting } from "./parts.js";

/** Returns a component that draws the one of a name, from a module that has that name in small letters or another one. */
export function later(name, module = name.toLowerCase()) {
  let Loaded = null;
  return function Later(properties) {
    const [fault, setFault] = useState(null);
    const [, redraw] = useReducer((n) => n + 1, 0);
    useEffect(() => {
      if (Loaded) return;
      import(`./${module}.js`).then((loaded) => {
        Loaded = loaded[name];
        redraw();
      }, setFault);
    }, []);
    if (fault) throw fault;
    return Loaded ? html`<${Loaded} ...${properties} />` : html`<${Waiting} rows=${12} />`;
  };
}
