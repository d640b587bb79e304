import { mount } from "svelte";
import App from "./App.svelte";
import { session } from "./api/session.svelte";
import { theme } from "./lib/theme.svelte";
import "./styles/tokens.css";
import "./styles/base.css";

session.start();
theme.start();

const target = document.getElementById("app");
if (target) mount(App, { target });
