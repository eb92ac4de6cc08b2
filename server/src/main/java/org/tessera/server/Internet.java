package org.tessera.server;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.util.List;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/** The two things that fetching needs of the world, apart, so that what is checked is dialled. */
interface Internet {
  /** All addresses of a name. */
  List<InetAddress> resolve(String host) throws IOException;

  /**
   * An open connection to this very address.
   *
   * @param host whose certificate it must show
   */
  Connection connect(InetAddress address, int port, String host, int timeoutMillis)
      throws IOException;

  /**
   * A connection before it is secured.
   *
   * @param raw to be closed to end it, whatever it does
   */
  record Connection(Socket raw, Handshake handshake) {}

  /** Makes a connection one that may be spoken over. */
  interface Handshake {
    Socket run() throws IOException;
  }

  /** The real one, over TLS with the platform's certificates. */
  static Internet real() {
    return new Internet() {
      @Override
      public List<InetAddress> resolve(String host) throws IOException {
        return List.of(InetAddress.getAllByName(host));
      }

      @Override
      public Connection connect(InetAddress address, int port, String host, int timeoutMillis)
          throws IOException {
        Socket socket = new Socket(java.net.Proxy.NO_PROXY);
        try {
          socket.connect(new InetSocketAddress(address, port), timeoutMillis);
        } catch (IOException e) {
          socket.close();
          throw e;
        }
        return new Connection(socket, () -> secured(socket, host, port));
      }
    };
  }

  private static Socket secured(Socket socket, String host, int port) throws IOException {
    SSLSocketFactory factory = (SSLSocketFactory) SSLSocketFactory.getDefault();
    SSLSocket secured = (SSLSocket) factory.createSocket(socket, host, port, true);
    SSLParameters parameters = secured.getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    secured.setSSLParameters(parameters);
    secured.startHandshake();
    return secured;
  }
}
