package org.tessera.server;

import io.helidon.http.HeaderNames;
import io.helidon.webserver.http.ServerResponse;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.locks.ReentrantLock;
import tools.jackson.databind.JsonNode;

/**
 * Server-sent events, for several threads. What cannot be written means that the client is gone.
 */
final class EventStream implements AutoCloseable {
  private static final byte[] PING = ascii(": ping\n\n");
  private static final byte[] DONE = ascii("data: [DONE]\n\n");

  private final OutputStream out;
  private final ReentrantLock lock = new ReentrantLock();
  private volatile long lastWriteNanos = System.nanoTime();
  private volatile long writeStartNanos;
  private volatile boolean writing;

  EventStream(ServerResponse response) {
    response.header(HeaderNames.CONTENT_TYPE, "text/event-stream; charset=utf-8");
    response.header(HeaderNames.create("x-accel-buffering"), "no");
    out = response.outputStream();
  }

  void data(JsonNode data) {
    write(join(ascii("data: "), Json.bytes(data), ascii("\n\n")));
  }

  void event(String name, JsonNode data) {
    write(join(ascii("event: " + name + "\ndata: "), Json.bytes(data), ascii("\n\n")));
  }

  void done() {
    write(DONE);
  }

  void ping() {
    write(PING);
  }

  /** Nanoseconds since something was last written. */
  long silentNanos() {
    return System.nanoTime() - lastWriteNanos;
  }

  /** How long the write in work has been waiting for the client; 0 where there is none. */
  long stalledNanos() {
    return writing ? System.nanoTime() - writeStartNanos : 0;
  }

  @Override
  public void close() {
    lock.lock();
    try {
      out.close();
    } catch (IOException e) {
      throw new ClientGoneException();
    } finally {
      lock.unlock();
    }
  }

  private void write(byte[] bytes) {
    lock.lock();
    try {
      writeStartNanos = System.nanoTime();
      writing = true;
      out.write(bytes);
      out.flush();
    } catch (IOException | RuntimeException e) {
      throw new ClientGoneException();
    } finally {
      writing = false;
      lastWriteNanos = System.nanoTime();
      lock.unlock();
    }
  }

  private static byte[] join(byte[] head, byte[] body, byte[] tail) {
    byte[] all = new byte[head.length + body.length + tail.length];
    System.arraycopy(head, 0, all, 0, head.length);
    System.arraycopy(body, 0, all, head.length, body.length);
    System.arraycopy(tail, 0, all, head.length + body.length, tail.length);
    return all;
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
