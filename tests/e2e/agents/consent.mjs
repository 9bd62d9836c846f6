// One person at a browser: opens the consent page, signs in if told to, presses Allow, and says where that led.
// node consent.mjs CHROMIUM ADDRESS PICTURE [EMAIL PASSWORD]
import { chromium } from "playwright-core";

const [executablePath, address, picture, email, password] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
const page = await browser.newPage({ viewport: { width: 900, height: 900 } });
const problems = [];
page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
let landed = "";
await page.route("https://app.example/**", (route) => {
  landed = route.request().url();
  return route.fulfill({ status: 200, contentType: "text/html", body: "<h1>Back in the app</h1>" });
});
await page.goto(address);
if (email) {
  if (!(await page.isVisible("input[name=email]"))) await page.click("summary");
  await page.fill("input[name=email]", email);
  await page.fill("input[name=password]", password);
  await page.click(".sign-in button");
  await page.waitForSelector("button[value=allow]");
}
await page.screenshot({ path: picture });
const text = await page.innerText("body");
await page.click("button[value=allow]");
await page.waitForURL("https://app.example/**");
console.log(JSON.stringify({ landed, text, problems, heading: await page.innerText("h1") }));
await browser.close();
