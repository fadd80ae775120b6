#include "gateway/wire/primer.h"

#include <string.h>

static const struct {
    const char *topic, *payload;
} primer[] = {
    /* Words of topics. */
    {"site/station-01/sensors/temperature", "21.5"},
    {"site/station-01/sensors/humidity", "48.2"},
    {"site/station-01/sensors/pressure", "1013.25"},
    {"site/station-01/battery/voltage", "12.64"},
    {"site/station-01/battery/current", "-0.35"},
    {"site/station-01/battery/soc", "87"},
    {"site/station-01/status", "online"},
    {"site/station-02/status", "offline"},
    {"devices/pump1/state", "ON"},
    {"devices/pump1/state", "OFF"},
    {"devices/valve2/command", "open"},
    {"devices/valve2/command", "closed"},
    {"home/kitchen/light/set", "{\"state\":\"ON\",\"brightness\":254,\"color_temp\":370}"},
    {"home/livingroom/motion", "{\"occupancy\":true,\"battery\":100,\"linkquality\":120,\"voltage\":3015}"},
    {"home/bathroom/window/contact", "{\"contact\":false,\"battery_low\":false,\"tamper\":false}"},
    {"homeassistant/sensor/outside/config",
     "{\"name\":\"Outside temperature\",\"device_class\":\"temperature\",\"state_class\":\"measurement\","
     "\"unit_of_measurement\":\"\302\260C\",\"state_topic\":\"home/outside/state\",\"value_template\":"
     "\"{{ value_json.temperature }}\",\"unique_id\":\"outside_temperature\",\"device\":{\"identifiers\":"
     "[\"outside\"],\"manufacturer\":\"\",\"model\":\"\",\"sw_version\":\"1.0.0\"}}"},
    {"homeassistant/binary_sensor/door/state", "on"},
    {"homeassistant/switch/relay/state", "off"},
    {"tele/plug/STATE",
     "{\"Time\":\"2024-05-17T08:30:00\",\"Uptime\":\"3T04:05:06\",\"UptimeSec\":273906,\"Heap\":27,\"Vcc\":3.1,"
     "\"POWER\":\"ON\",\"Wifi\":{\"AP\":1,\"SSId\":\"network\",\"RSSI\":74,\"Signal\":-63}}"},
    {"tele/plug/SENSOR",
     "{\"Time\":\"2024-05-17T08:30:00\",\"ENERGY\":{\"Total\":12.345,\"Yesterday\":0.512,\"Today\":0.204,"
     "\"Power\":35,\"ApparentPower\":52,\"ReactivePower\":38,\"Factor\":0.67,\"Voltage\":231,\"Current\":0.225}}"},
    {"shellies/meter/emeter/0/power", "152.37"},
    {"shellies/meter/emeter/0/total_returned", "0.0"},
    /* Weather. */
    {"weather/station/loop",
     "{\"dateTime\":1715934600,\"usUnits\":1,\"outTemp\":12.4,\"inTemp\":20.9,\"outHumidity\":81.0,\"inHumidity\":45,"
     "\"barometer\":1016.2,\"pressure\":998.7,\"windSpeed\":3.1,\"windDir\":225.0,\"windGust\":5.8,\"windGustDir\":230,"
     "\"rain\":0.0,\"rainRate\":0.0,\"dayRain\":1.2,\"dewpoint\":9.2,\"radiation\":310,\"UV\":2.1,\"heatindex\":12.1,"
     "\"windchill\":12.4,\"cloudbase\":520,\"rxCheckPercent\":98}"},
    {"weather/station/observations",
     "{\"timestamp\":\"2024-05-17T08:30:00Z\",\"air_temperature\":12.5,\"relative_humidity\":80.5,\"wind_speed\":3.2,"
     "\"wind_direction\":227,\"solar_radiation\":312.4,\"precipitation\":0.0,\"visibility\":20000,\"wave_height\":1.2,"
     "\"water_temperature\":11.8,\"sea_level_pressure\":1016.4,\"longwave\":315.2,\"battery_voltage\":13.1}"},
    /* Energy. */
    {"N/gateway/system/0/Dc/Battery/Voltage", "{\"value\": 52.25}"},
    {"N/gateway/system/0/Dc/Battery/Power", "{\"value\": -152.0}"},
    {"N/gateway/grid/30/Ac/L1/Power", "{\"value\": 512.4}"},
    {"N/gateway/grid/30/Ac/Energy/Forward", "{\"value\": 1234.56}"},
    {"N/gateway/inverter/0/Ac/Out/L1/Frequency", "{\"value\": 50.02}"},
    {"N/gateway/solarcharger/0/Pv/Current", "{\"value\": 4.2}"},
    {"N/gateway/solarcharger/0/Yield/Total", "{\"value\": null}"},
    {"N/gateway/battery/1/Alarms/LowVoltage", "{\"value\": 0}"},
    {"N/gateway/tank/3/FluidType", "{\"value\": []}"},
    {"N/gateway/settings/0/Mgmt/ProductName", "{\"value\": \"unknown\"}"},
    {"N/gateway/settings/0/Mgmt/FirmwareVersion", "{\"value\": \"v1.00\"}"},
    {"meter/kwh/import", "{\"timestamp\":1715934600,\"energy\":12345.678,\"power\":402.5,\"frequency\":49.98,"
                         "\"power_factor\":0.96,\"phases\":[{\"voltage\":230.1,\"current\":1.75}]}"},
    /* Radio networks. */
    {"application/1/device/0011223344556677/event/up",
     "{\"applicationID\":\"1\",\"applicationName\":\"app\",\"deviceName\":\"sensor\",\"devEUI\":\"0011223344556677\","
     "\"rxInfo\":[{\"gatewayID\":\"0011223344556677\",\"time\":\"2024-05-17T08:30:00.123456Z\",\"timestamp\":1234567,"
     "\"rssi\":-97,\"loRaSNR\":7.5,\"channel\":1,\"rfChain\":0,\"location\":{\"latitude\":52.0,\"longitude\":5.0,"
     "\"altitude\":12}}],\"txInfo\":{\"frequency\":868100000,\"dr\":5,\"modulation\":\"LORA\",\"loRaModulationInfo\":"
     "{\"bandwidth\":125,\"spreadingFactor\":7,\"codeRate\":\"4/5\"}},\"adr\":true,\"fCnt\":1,\"fPort\":2,\"data\":"
     "\"AQIDBA==\",\"object\":{\"temperature\":21.5,\"humidity\":48}}"},
    {"v3/app@ttn/devices/node/up",
     "{\"end_device_ids\":{\"device_id\":\"node\",\"application_ids\":{\"application_id\":\"app\"},\"dev_eui\":"
     "\"0011223344556677\",\"dev_addr\":\"01234567\"},\"received_at\":\"2024-05-17T08:30:00.123Z\",\"uplink_message\":"
     "{\"f_port\":1,\"f_cnt\":1,\"frm_payload\":\"AQID\",\"decoded_payload\":{},\"rx_metadata\":[{\"gateway_ids\":"
     "{\"gateway_id\":\"gw\",\"eui\":\"0011223344556677\"},\"rssi\":-97,\"channel_rssi\":-97,\"snr\":7.5}],"
     "\"settings\":{\"data_rate\":{\"lora\":{\"bandwidth\":125000,\"spreading_factor\":7}},\"frequency\":"
     "\"868100000\"},\"consumed_airtime\":\"0.061696s\"}}"},
    {"rtl_433/sensor", "{\"time\" : \"2024-05-17 08:30:00\", \"model\" : \"unknown\", \"id\" : 12, \"channel\" : 1, "
                       "\"battery_ok\" : 1, \"temperature_C\" : 12.400, \"humidity\" : 81, \"mic\" : \"CRC\"}"},
    /* Positions. */
    {"owntracks/user/phone",
     "{\"_type\":\"location\",\"acc\":12,\"alt\":105,\"batt\":87,\"conn\":\"w\",\"cog\":270,\"lat\":52.123456,"
     "\"lon\":5.123456,\"t\":\"u\",\"tid\":\"ph\",\"tst\":1715934600,\"vac\":3,\"vel\":0}"},
    {"fleet/vehicle/7/position", "{\"time\":\"2024-05-17T08:30:00Z\",\"latitude\":52.1234,\"longitude\":5.1234,"
                                 "\"altitude\":12.3,\"speed\":8.4,\"heading\":271.5,\"course\":270.1,\"hdop\":0.9,"
                                 "\"satellites\":9,\"fix\":3,\"ignition\":true,\"odometer\":123456}"},
    {"gps/tpv", "{\"class\":\"TPV\",\"device\":\"/dev/ttyS0\",\"mode\":3,\"time\":\"2024-05-17T08:30:00.000Z\",\"ept\":0.005,"
                "\"lat\":52.123456789,\"lon\":5.123456789,\"alt\":12.3,\"epx\":8.5,\"epy\":9.1,\"epv\":23.0,\"track\":271.5,"
                "\"speed\":0.12,\"climb\":0.0,\"eps\":18.2}"},
    /* Ships. */
    {"vessel/nmea0183", "$GPGGA,083000.00,5207.4074,N,00507.4074,E,1,09,0.9,12.3,M,46.1,M,,*56"},
    {"vessel/nmea0183", "$GPRMC,083000.00,A,5207.4074,N,00507.4074,E,5.8,271.5,170524,1.2,E,A*36"},
    {"vessel/nmea0183", "$GPVTG,271.5,T,270.3,M,5.8,N,10.7,K,A*1F"},
    {"vessel/nmea0183", "$GPGSA,A,3,02,05,12,15,18,20,25,29,31,,,,1.7,0.9,1.4*3D"},
    {"vessel/nmea0183", "$GPGLL,5207.4074,N,00507.4074,E,083000.00,A,A*60"},
    {"vessel/nmea0183", "$IIMWV,045,R,12.4,N,A*15"},
    {"vessel/nmea0183", "$IIDBT,032.8,f,010.0,M,005.5,F*19"},
    {"vessel/nmea0183", "$IIVHW,,T,271,M,05.80,N,10.74,K*6E"},
    {"vessel/nmea0183", "$IIHDG,271.0,,,1.2,E*25"},
    {"vessel/ais", "!AIVDM,1,1,,A,13aEOK?P00PD2wVMdLDRhgvL289?,0*26"},
    {"vessel/ais", "!AIVDM,1,1,,B,33aEOK0P1:0D2wTMdLHRrwvL2001,0*48"},
    {"signalk/delta", "{\"context\":\"vessels.self\",\"updates\":[{\"source\":{\"label\":\"n2k\",\"type\":\"NMEA2000\","
                      "\"pgn\":128267,\"src\":\"35\"},\"$source\":\"n2k.35\",\"timestamp\":\"2024-05-17T08:30:00.000Z\","
                      "\"values\":[{\"path\":\"navigation.speedOverGround\",\"value\":2.98},{\"path\":"
                      "\"environment.depth.belowTransducer\",\"value\":10.02}]}]}"},
    /* Industry and computers. */
    {"factory/line1/machine3/telemetry", "{\"ts\":1715934600000,\"values\":{\"temperature\":61.2,\"vibration\":0.0213,"
                                         "\"rpm\":1480,\"torque\":35.1,\"running\":true,\"fault\":false,\"count\":1203}}"},
    {"factory/plc/alarms", "{\"id\":17,\"severity\":\"warning\",\"message\":\"high temperature\",\"active\":true,"
                           "\"acknowledged\":false,\"source\":\"boiler\",\"time\":\"2024-05-17T08:30:00+00:00\"}"},
    {"senml/node", "[{\"bn\":\"urn:dev:mac:0011223344556677\",\"bt\":1715934600,\"n\":\"temp\",\"u\":\"Cel\",\"v\":21.5},"
                   "{\"n\":\"rh\",\"u\":\"%RH\",\"v\":48.2},{\"n\":\"door\",\"vb\":false}]"},
    {"host/metrics", "{\"fields\":{\"usage_idle\":97.1,\"usage_system\":1.2,\"usage_user\":1.7,\"used_percent\":43.2,"
                     "\"bytes_recv\":123456,\"bytes_sent\":65432},\"name\":\"cpu\",\"tags\":{\"host\":\"gateway\"},"
                     "\"timestamp\":1715934600}"},
    {"host/line", "cpu,host=gateway usage_idle=97.1,usage_user=1.7 1715934600000000000"},
    {"water/flow", "{\"deviceId\":\"meter-1\",\"serial\":\"000001\",\"flow_rate\":0.152,\"volume\":1234.567,\"level\":2.31,"
                   "\"ph\":7.12,\"turbidity\":0.8,\"conductivity\":512,\"dissolved_oxygen\":8.9,\"unit\":\"m3\","
                   "\"quality\":\"good\",\"error\":null}"},
    /* Words of topics, again, and states of things. */
    {"zigbee2mqtt/hall_sensor",
     "{\"battery\":97,\"illuminance\":312,\"linkquality\":87,\"occupancy\":false,\"temperature\":20.6,\"update\":{"
     "\"state\":\"idle\"},\"voltage\":2985}"},
    {"zigbee2mqtt/bridge/state", "{\"state\":\"online\"}"},
    {"stat/relay3/RESULT", "{\"POWER1\":\"OFF\"}"},
    {"tele/relay3/LWT", "Online"},
    {"shellyplus1/events/rpc",
     "{\"src\":\"shellyplus1-0011223344\",\"dst\":\"events\",\"method\":\"NotifyStatus\",\"params\":{\"ts\":171593"
     "4600.52,\"switch:0\":{\"id\":0,\"output\":true,\"apower\":12.5,\"source\":\"button\"}}}"},
    {"shellyplus1/status/switch:0",
     "{\"id\":0,\"source\":\"init\",\"output\":false,\"apower\":0.0,\"voltage\":230.4,\"current\":0.052,\"freq\":5"
     "0.0,\"aenergy\":{\"total\":1234.567,\"by_minute\":[0.0,12.3],\"minute_ts\":1715934600},\"temperature\":{\"tC"
     "\":41.2,\"tF\":106.2}}"},
    {"homie/boiler/$state", "ready"},
    {"homie/boiler/burner/active", "true"},
    {"esphome/garage/cover/state", "closed"},
    {"frigate/events",
     "{\"type\":\"update\",\"before\":{\"id\":\"1715934600.1-abc\",\"camera\":\"yard\",\"label\":\"person\",\"scor"
     "e\":0.81},\"after\":{\"stationary\":false,\"start_time\":1715934600.1,\"end_time\":null}}"},
    {"hvac/zone/2/setpoint", "19.0"},
    {"cmd/valve-7/set", "{\"command\":\"open\",\"percent\":50,\"duration\":300,\"request_id\":\"41\"}"},
    {"cmd/valve-7/ack", "{\"request_id\":\"41\",\"result\":\"ok\",\"code\":0}"},
    {"things/logger-5/shadow/update",
     "{\"state\":{\"reported\":{\"firmware\":\"2.1.0\",\"interval\":60,\"connected\":true},\"desired\":{\"interval"
     "\":300}},\"version\":12}"},
    /* Loggers, soil, water. */
    {"field/node-4/soil",
     "{\"node\":4,\"soil_moisture\":23.4,\"soil_temperature\":11.2,\"ec\":0.31,\"leaf_wetness\":0,\"par\":812,\"vp"
     "d\":0.62,\"battery\":3.71,\"solar\":5.12}"},
    {"buoy/waves",
     "{\"Hs\":1.42,\"Tp\":7.8,\"Tz\":5.1,\"direction\":284,\"sst\":12.34,\"salinity\":34.91,\"chlorophyll\":0.82,"
     "\"depth\":18.2,\"lat\":51.2031,\"lon\":-4.5170}"},
    {"river/gauge/12/level",
     "{\"ts\":\"2024-05-17T08:30:00Z\",\"stage_m\":1.284,\"discharge_m3s\":14.7,\"status\":\"OK\"}"},
    {"logger/csv", "2024-05-17 08:30:00,12.41,81.2,998.7,3.1,227,0.0,13.12"},
    {"air/pm",
     "{\"pm1\":4.2,\"pm2_5\":7.9,\"pm10\":11.3,\"co2\":512,\"tvoc\":84,\"nox\":1,\"noise_db\":42.1,\"aqi\":31}"},
    {"seismic/alarm",
     "{\"event\":\"trigger\",\"channel\":\"HHZ\",\"sta_lta\":4.2,\"pga\":0.013,\"starttime\":\"2024-05-17T08:30:00"
     ".120Z\"}"},
    /* Power, engines, vehicles. */
    {"energy/inverter/1",
     "{\"pv_power\":3120,\"pv_voltage\":381.2,\"grid_power\":-2410,\"battery_power\":-350,\"battery_soc\":78.5,\"l"
     "oad\":360,\"mode\":\"MPPT\",\"fault_code\":0,\"energy_today\":14.21}"},
    {"ocpp/meterValues",
     "{\"connectorId\":1,\"transactionId\":90,\"meterValue\":[{\"timestamp\":\"2024-05-17T08:30:00Z\",\"sampledVal"
     "ue\":[{\"value\":\"1034\",\"measurand\":\"Energy.Active.Import.Register\",\"unit\":\"Wh\"}]}]}"},
    {"genset/status",
     "{\"engine_rpm\":1502,\"oil_pressure\":4.1,\"coolant_temp\":82,\"fuel_level\":64,\"run_hours\":1203.4,\"load_"
     "percent\":41,\"state\":\"RUNNING\",\"alarms\":[]}"},
    {"modbus/unit/1/holding/40001",
     "{\"address\":40001,\"count\":8,\"registers\":[2301,2298,2304,0,417,65535,12,500]}"},
    {"bms/pack",
     "{\"cells\":[3.312,3.310,3.315,3.309],\"min_cell\":3.309,\"max_cell\":3.315,\"cycles\":212,\"soh\":97,\"temps"
     "\":[24,25]}"},
    {"can/obd", "{\"pid\":\"0C\",\"name\":\"rpm\",\"value\":1832.5,\"raw\":\"1CA2\"}"},
    {"tracker/352093081234567",
     "{\"imei\":\"352093081234567\",\"ts\":1715934600000,\"gps\":{\"lat\":52.12345,\"lng\":5.12345,\"alt\":14,\"an"
     "gle\":271,\"sats\":11,\"speed\":62},\"io\":{\"ignition\":1,\"movement\":1,\"ext_voltage\":13912,\"gsm_signal"
     "\":4}}"},
    /* Radio networks and gateways. */
    {"application/a1/device/0011223344556677/event/up",
     "{\"deduplicationId\":\"3b1f\",\"time\":\"2024-05-17T08:30:00.123+00:00\",\"deviceInfo\":{\"tenantId\":\"52f1"
     "\",\"tenantName\":\"tenant\",\"applicationId\":\"a1\",\"deviceProfileName\":\"class-a\",\"deviceName\":\"pro"
     "be\",\"devEui\":\"0011223344556677\",\"tags\":{}},\"devAddr\":\"01234567\",\"adr\":true,\"dr\":5,\"fCnt\":12"
     ",\"fPort\":1,\"confirmed\":false,\"data\":\"AWcA1w==\",\"rxInfo\":[{\"gatewayId\":\"0016c001f1500000\",\"upl"
     "inkId\":7312,\"rssi\":-101,\"snr\":6.2,\"channel\":3,\"location\":{},\"context\":\"AAAAAA==\",\"crcStatus\":"
     "\"CRC_OK\"}],\"txInfo\":{\"frequency\":868300000,\"modulation\":{\"lora\":{\"bandwidth\":125000,\"spreadingF"
     "actor\":7,\"codeRate\":\"CR_4_5\"}}}}"},
    {"eu868/gateway/0016c001f1500000/event/stats",
     "{\"gatewayId\":\"0016c001f1500000\",\"time\":\"2024-05-17T08:30:00Z\",\"rxPacketsReceived\":41,\"rxPacketsRe"
     "ceivedOk\":38,\"txPacketsEmitted\":2}"},
    {"ble/gateway/adv", "{\"mac\":\"AA:BB:CC:DD:EE:FF\",\"rssi\":-71,\"type\":\"adv\",\"data\":\"0201061BFF9904\"}"},
    {"msh/EU_868/2/json/LongFast/!a1b2c3d4",
     "{\"channel\":0,\"from\":2712847316,\"hop_start\":3,\"id\":1203,\"payload\":{\"air_util_tx\":0.8,\"battery_le"
     "vel\":91,\"channel_utilization\":4.1,\"voltage\":4.05},\"rssi\":-92,\"snr\":5.5,\"timestamp\":1715934600,\"t"
     "ype\":\"telemetry\"}"},
    {"spBv1.0/STATE/host", "{\"online\":true,\"timestamp\":1715934600000}"},
    /* Ships, again. */
    {"vessel/nmea0183", "$GPGSV,3,1,11,02,41,271,38,05,12,045,31,12,67,188,44,15,08,310,27*7E"},
    {"vessel/nmea0183", "$GPZDA,083000.00,17,05,2024,00,00*6A"},
    {"vessel/nmea0183", "$GNRMC,083001.00,A,5207.4071,N,00507.4069,E,5.9,270.8,170524,,,A*45"},
    {"vessel/nmea0183", "$WIMWV,271.0,T,14.2,N,A*16"},
    {"vessel/nmea0183", "$SDDPT,10.0,0.5,100*7E"},
    {"vessel/nmea0183", "$YXMTW,15.2,C*14"},
    {"vessel/nmea0183", "$HEHDT,271.3,T*28"},
    {"vessel/nmea0183", "$WIXDR,P,1.0164,B,BARO,C,18.2,C,TEMP*59"},
    {"vessel/nmea0183", "$GPAPB,A,A,0.10,R,N,V,V,011,M,DEST,011,M,011,M*3C"},
    {"vessel/ais", "!AIVDM,2,1,3,B,53aEOK02>Lw<hTpF221=@E18TpN3;22222222217;Pt>;6A50E1Q0E4RDm51,0*27"},
    {"vessel/ais", "!AIVDM,2,2,3,B,0PH0000000000,2*3C"},
    {"vessels/self/navigation/position",
     "{\"value\":{\"latitude\":52.1234567,\"longitude\":5.1234567},\"timestamp\":\"2024-05-17T08:30:01Z\"}"},
};

size_t primer_count(void)
{
    return sizeof primer / sizeof primer[0];
}

struct record primer_record(size_t i)
{
    const char *payload = primer[i].payload, *topic = primer[i].topic;

    return (struct record){.type = RECORD_MESSAGE, .class = CLASS_NORMAL, .number = i + 1, .previous = i,
                           .slot = RECORD_NO_SLOT, .topic = topic, .topic_len = (uint32_t)strlen(topic),
                           .bytes = (const uint8_t *)payload, .len = (uint32_t)strlen(payload),
                           .total = (uint32_t)strlen(payload)};
}
