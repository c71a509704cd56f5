// Times, in the zone of the store, which every report names: days of users begin and end there.

import { Observed } from "./observed.js";

export const zone = new Observed("");

/** Takes the zone from an answer, if it has one. */
export function learnZone(answer) {
  const named = answer && answer.window && answer.window.timezone;
  if (!named || named === zone.value) return;
  try {
    new Intl.DateTimeFormat("en", { timeZone: named });
  } catch {
    return; // this browser does not know it: its times stay UTC
  }
  zone.set(named);
}

export const zoneName = () => zone.value || "UTC";

const formats = new Map();

function format(name, options) {
  return (time) => {
    const key = `${name} ${zoneName()}`;
    if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat("en-GB", { ...options, timeZone: zoneName() }));
    return formats.get(key).format(new Date(time));
  };
}

export const clock = format("clock", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const minute = format("minute", { hour: "2-digit", minute: "2-digit" });
export const day = format("day", { day: "numeric", month: "short" });
export const dayOfWeek = format("day of week", { weekday: "short", day: "numeric", month: "short" });
export const moment = format("moment", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
export const month = format("month", { year: "numeric", month: "2-digit" });
export const date = format("date", { year: "numeric", month: "2-digit", day: "2-digit" });

export function duration(seconds) {
  const [days, hours, minutes] = [seconds / 86400, (seconds / 3600) % 24, (seconds / 60) % 60].map(Math.floor);
  if (days) return `${days} d ${hours} h`;
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${Math.floor(seconds % 60)} s` : `${Math.round(seconds)} s`;
}

/** How long ago a time was, in words. */
export const ago = (time) => duration(Math.max(0, (Date.now() - Date.parse(time)) / 1000));
