package org.tessera.server;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/**
 * The page in a real browser. What the answers say is checked with the demo model; where its
 * weights are not there, that answers come and are shown. Screenshots are left in {@code
 * target/screenshots}.
 */
class BrowserTest {
  private static final Path ROOT = Path.of(System.getProperty("project.root"));
  private static final Path PICTURES = ROOT.resolve("demo").resolve("pictures");
  private static final Path SCREENSHOTS = Path.of("target", "screenshots");
  private static final Path DEMO_MODEL = ROOT.resolve("demo").resolve("model");
  private static final boolean DEMO =
      Files.isRegularFile(DEMO_MODEL.resolve("model.safetensors.index.json"))
          || Files.isRegularFile(DEMO_MODEL.resolve("model.safetensors"));

  /** Answers under way have a class; the last one has ended when none has. */
  private static final String DONE =
      "document.querySelectorAll('.assistant').length === %d && !document.querySelector('.running')";

  private static final String ATTACHED =
      "document.querySelectorAll('.attachment:not(.reading)').length === %d";

  private static TestServer server;
  private Browser browser;

  @BeforeAll
  static void start() {
    Optional<String> missing = Browser.missing();
    assumeTrue(missing.isEmpty(), () -> missing.orElse(""));
    ServerOptions options =
        new ServerOptions(
            "127.0.0.1",
            0,
            Optional.empty(),
            Optional.of(DEMO ? "tessera-demo" : "tiny"),
            Set.of(),
            Set.of(),
            Set.of(),
            false,
            false,
            8192,
            ServerLimits.defaults());
    server =
        TestServer.start(DEMO ? DEMO_MODEL : TestServer.CONFORMANCE.resolve("checkpoint"), options);
  }

  @AfterAll
  static void stop() {
    if (server != null) {
      server.close();
    }
  }

  @BeforeEach
  void open() throws IOException {
    browser = Browser.desktop(1280, 860);
    openPage(server, 24);
  }

  /** Opens the page with settings under which the demo model says what it was taught to. */
  private void openPage(TestServer at, int maxTokens) {
    browser.open(at.url("/"));
    browser.run(
        "localStorage.setItem('tessera-settings', arguments[0])",
        "{\"temperature\":0,\"maxTokens\":%d}".formatted(maxTokens));
    browser.reload();
    browser.until("document.querySelector('#model').textContent !== ''");
  }

  @AfterEach
  void close() {
    try {
      assertThat(browser.errors()).isEmpty();
    } finally {
      browser.close();
    }
  }

  private void attach(String... pictures) {
    for (int i = 0; i < pictures.length; i++) {
      browser.type("#files", PICTURES.resolve(pictures[i]).toString());
      browser.until(ATTACHED.formatted(i + 1));
    }
  }

  private void ask(String question, int answers) {
    browser.type("#prompt", question);
    browser.click("#send");
    browser.until(DONE.formatted(answers));
  }

  private String answer(int place) {
    return browser.text(
        "#messages > li:nth-child(%d) .markdown".formatted(2 * place)); // after its question
  }

  private void assertAnswer(int place, String expected) {
    if (DEMO) {
      assertThat(answer(place)).isEqualTo(expected);
    } else {
      assertThat(browser.text("#messages > li:nth-child(%d) .stats".formatted(2 * place)))
          .contains("tokens");
    }
  }

  @Test
  void redIsRedAndBlueIsBlueAndBothAreThereAfterAReload() throws IOException {
    attach("red.png");
    ask("What colour is the circle?", 1);
    assertAnswer(1, "The circle is red.");
    browser.click("#new-chat");
    attach("blue.png");
    ask("What colour is the circle?", 1);
    assertAnswer(1, "The circle is blue.");
    browser.click(".stats summary");
    assertThat(browser.text(".stats"))
        .contains("tokens/s", "first word after", "of pictures", "read in");

    browser.reload();
    browser.until("document.querySelector('.picture img')?.naturalWidth === 320");
    assertAnswer(1, "The circle is blue.");
    browser.until("document.querySelectorAll('#history li').length === 2");
    browser.click("#history li:nth-child(2) .conversation");
    browser.until("document.querySelectorAll('#history li:nth-child(2) [aria-current]').length");
    assertAnswer(1, "The circle is red.");
    browser.screenshot(SCREENSHOTS.resolve("conversation.png"));

    browser.run("document.querySelector('#history li:nth-child(2) .icon').click()");
    browser.until("document.querySelectorAll('#history li').length === 1");
    assertThat(browser.count("#messages > li")).isZero();
    browser.reload();
    browser.until("document.querySelectorAll('#history li').length === 1");
  }

  @Test
  void severalPicturesAndAVideoTakeTurns() {
    attach("before.png", "after.png");
    ask("What is the difference between the two pictures?", 1);
    assertAnswer(1, "The first picture has a green square, the second has an orange square.");
    assertThat(browser.count(".picture")).isEqualTo(2);

    browser.click("#new-chat");
    attach("moving.gif");
    assertThat(browser.text(".attachment .badge")).isEqualTo("GIF");
    ask("What moves, and which way?", 1);
    assertAnswer(1, "The orange circle moves to the right.");
  }

  @Test
  void videosAreSentAsFrames() {
    browser.await(
        """
        const canvas = document.createElement('canvas');
        canvas.width = 200;
        canvas.height = 130;
        const context = canvas.getContext('2d');
        const recorder = new MediaRecorder(canvas.captureStream(20), {mimeType: 'video/webm'});
        const parts = [];
        recorder.ondataavailable = (event) => parts.push(event.data);
        const stopped = new Promise((resolve) => recorder.onstop = resolve);
        recorder.start();
        for (let i = 0; i < 25; i++) {
          context.fillStyle = '#222';
          context.fillRect(0, 0, 200, 130);
          context.fillStyle = 'orange';
          context.fillRect(6 * i, 40, 30, 30);
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        recorder.stop();
        await stopped;
        const files = new DataTransfer();
        files.items.add(new File(parts, 'film.webm', {type: 'video/webm'}));
        document.querySelector('#files').files = files.files;
        document.querySelector('#files').dispatchEvent(new Event('change'));
        """);
    browser.until(ATTACHED.formatted(1));
    assertThat(browser.text(".attachment .badge")).matches("\\d+ frames");
    ask("What moves, and which way?", 1);
    assertThat(browser.count(".note.problem:not([hidden])")).isZero();
    browser.click(".stats summary");
    assertThat(browser.text(".stats")).contains("of pictures");
  }

  @Test
  void picturesArePastedAndDropped() {
    String give =
        """
        const canvas = new OffscreenCanvas(40, 30);
        canvas.getContext('2d').fillRect(5, 5, 20, 20);
        const picture = new File([await canvas.convertToBlob()], given[0] + '.png', {type: 'image/png'});
        const data = new DataTransfer();
        data.items.add(picture);
        """;
    browser.await(
        give
            + "document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data,"
            + " cancelable: true}))",
        "pasted");
    browser.until(ATTACHED.formatted(1));
    browser.await(
        give + "document.dispatchEvent(new DragEvent('drop', {dataTransfer: data}))", "dropped");
    browser.until(ATTACHED.formatted(2));
    browser.click(".attachment .icon[aria-label='Remove pasted.png']");
    browser.until(ATTACHED.formatted(1));
    browser.await(
        """
        const data = new DataTransfer();
        data.items.add(new File(['no picture'], 'letter.txt', {type: 'text/plain'}));
        document.dispatchEvent(new DragEvent('drop', {dataTransfer: data}));
        """);
    browser.until("!document.querySelector('#problem').hidden");
    assertThat(browser.text("#problem")).contains("letter.txt is no picture");
    assertThat(browser.count(".attachment")).isEqualTo(1);
  }

  @Test
  void answersGrowAndStopAndAreAskedForAgain() throws InterruptedException {
    try (TestServer noise = TestServer.start()) {
      openPage(noise, 3000);
      browser.run( // answers take seconds, whatever the model says
          """
          const fetch = window.fetch;
          window.fetch = (url, options) => {
            const body = options?.body;
            return fetch(url, String(url).endsWith('/chat/completions')
              ? {...options, body: JSON.stringify({...JSON.parse(body), min_tokens: 3000})}
              : options);
          };
          window.lengths = new Set();
          new MutationObserver(() => {
            const text = document.querySelector('.markdown')?.textContent;
            if (text) window.lengths.add(text.length);
          }).observe(document.querySelector('#messages'), {subtree: true, childList: true});
          """);
      browser.type("#prompt", "Hello\uE007"); // Enter
      browser.until("window.lengths.size > 5");
      browser.click("#stop");
      browser.until(DONE.formatted(1));
      assertThat(browser.text(".note")).isEqualTo("Stopped.");
      String stopped = answer(1);
      assertThat(stopped).isNotBlank();
      browser.until("document.querySelector('#send:not([hidden])')");
      noise.awaitIdle(); // the server hears of it a moment later
      assertThat(answer(1)).isEqualTo(stopped);

      browser.click("[aria-label='Answer again']");
      browser.until("document.querySelector('.running .markdown')?.textContent.length > 20");
      browser.type("#prompt", "\uE00C"); // Escape
      browser.until(DONE.formatted(1));
      assertThat(browser.text(".note")).isEqualTo("Stopped.");

      browser.type("#prompt", "\uE013"); // the up arrow
      assertThat(browser.run("return document.querySelector('#prompt').value").stringValue())
          .isEqualTo("Hello");
      browser.type("#prompt", " again\uE008\uE007\uE008there"); // Shift and Enter
      browser.click("#send");
      browser.until("document.querySelector('.running .markdown')?.textContent.length > 20");
      browser.type("#prompt", "\uE00C");
      browser.until(DONE.formatted(1));
      assertThat(browser.text(".user .text")).isEqualTo("Hello again\nthere");
      assertThat(browser.count("#messages > li")).isEqualTo(2);
    }
  }

  @Test
  void slicesAreDrawnOverThePicture() throws IOException {
    attach("poster.png");
    ask("What does the small text say?", 1);
    assertAnswer(1, "It says \"4716\".");
    browser.until("document.querySelector('.picture .slices .over')");
    int slices =
        TestServer.json(
                server.post("/v1/tessera/slices", "{\"width\":1600,\"height\":1200}").body())
            .path("slices")
            .intValue();
    assertThat(browser.text(".picture .badge")).isEqualTo(slices + " slices");
    browser.click(".picture");
    browser.until("document.querySelector('#viewer[open] .numbers')");
    assertThat(browser.count("#viewer .numbers b")).isEqualTo(slices - 1);
    assertThat(browser.text("#viewer .facts")).contains("1600 × 1200 pixels", "tokens");
    browser.screenshot(SCREENSHOTS.resolve("slices.png"));
  }

  @Test
  void devicesAreShownLive() throws IOException {
    browser.click("#open-devices");
    browser.until("document.querySelector('.card')");
    assertThat(browser.text(".devices"))
        .contains("Memory", "vision tower", "Key/value cache", "Java heap");
    browser.until("document.querySelector('.spark polyline').getAttribute('points').split(' ')[2]");
    browser.screenshot(SCREENSHOTS.resolve("devices.png"));
  }

  @Test
  void settingsAreKeptAndSent() {
    browser.click("#open-settings");
    browser.run("document.querySelector('#setting-maxTokens').value = ''");
    browser.type("#setting-maxTokens", "2");
    browser.type("#setting-seed", "7\t");
    browser.click("#settings .icon");
    ask("Hello", 1);
    assertThat(browser.text(".note")).isEqualTo("The limit of tokens is reached.");
    assertThat(browser.text(".stats")).contains("2 tokens");
    browser.reload();
    browser.until("document.querySelector('.stats')?.textContent.includes('2 tokens')");
    browser.click("#open-settings");
    assertThat(browser.run("return document.querySelector('#setting-seed').value").stringValue())
        .isEqualTo("7");
  }

  @Test
  void markdownBecomesElementsAndNothingElse() {
    browser.await(
        """
        const {renderInto} = await import('./markdown.js');
        const place = document.createElement('div');
        place.id = 'rendered';
        document.querySelector('#messages').append(place);
        for (let end = 1; end <= given[0].length; end++) renderInto(place, given[0].slice(0, end));
        """,
        """
        ## Title

        **bold** *italic* `a*b*c` 2*3*4 snake_case_name [link](https://example.com/a_(b))
        [bad](javascript:alert(1)) <img src=x onerror=alert(1)> <script>alert(1)</script>

        1. one
           - inner
        2. two

        ```html
        <b>code</b>
        ```

        | a | b |
        |---|--:|
        | 1 | 2 |

        > quoted
        """);
    assertThat(browser.count("#rendered h4")).isEqualTo(1);
    assertThat(browser.text("#rendered strong")).isEqualTo("bold");
    assertThat(browser.text("#rendered em")).isEqualTo("italic");
    assertThat(browser.count("#rendered em")).isEqualTo(1);
    assertThat(browser.text("#rendered p code")).isEqualTo("a*b*c");
    assertThat(browser.text("#rendered pre")).isEqualTo("<b>code</b>");
    assertThat(browser.count("#rendered ol > li")).isEqualTo(2);
    assertThat(browser.count("#rendered ol ul > li")).isEqualTo(1);
    assertThat(browser.count("#rendered td.to-right")).isEqualTo(1);
    assertThat(browser.count("#rendered blockquote")).isEqualTo(1);
    assertThat(browser.count("#rendered img, #rendered script, #rendered b")).isZero();
    assertThat(browser.count("#rendered a")).isEqualTo(1);
    assertThat(browser.run("return document.querySelector('#rendered a').href").stringValue())
        .isEqualTo("https://example.com/a_(b)");
  }

  @Test
  void darkAndPhone() throws IOException {
    browser.prefer("dark");
    browser.until("document.documentElement.dataset.theme === 'dark'");
    browser.until("document.getAnimations().length === 0"); // colours fade over
    browser.screenshot(SCREENSHOTS.resolve("dark.png"));
    browser.click("#theme");
    browser.until("document.documentElement.dataset.theme === 'light'");
    browser.close();

    browser = Browser.phone(390, 800);
    openPage(server, 24);
    assertThat(browser.run("return document.body.scrollWidth").intValue()).isEqualTo(390);
    browser.until("getComputedStyle(document.querySelector('#camera')).display !== 'none'");
    attach("red.png");
    ask("What colour is the circle?", 1);
    browser.screenshot(SCREENSHOTS.resolve("phone.png"));
    browser.click("#open-sidebar");
    browser.until("document.querySelector('#sidebar').getBoundingClientRect().left === 0");
    browser.click("#history .conversation");
    browser.until("document.querySelector('#scrim').hidden");
  }
}
